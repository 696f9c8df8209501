import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.ResponseHighlighterInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.nio.file.Files;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.transaction.PlatformTransactionManager;

/**
 * A real HAPI FHIR JPA server (R4, H2 in memory) on a loopback port: `HapiServer PORT [--strict] [--export]`. It lives as long as
 * its standard input is open, so that it never outlives the test that started it. In a pod, the property `address` is
 * that of the pod.
 */
public final class HapiServer {

    /** Strict, as most deployments have it: referential integrity, and searches answered from a cache for a minute. */
    private static boolean strict;

    /** With bulk export, whose steps follow each other within a second instead of a minute. */
    private static boolean export;

    public static void main(String[] arguments) {
        strict = List.of(arguments).contains("--strict");
        export = List.of(arguments).contains("--export");
        endWithStandardInput();
        try {
            start(Integer.parseInt(arguments[0]));
        } catch (Throwable failure) {
            failure.printStackTrace();
            System.exit(1); // HAPI's own threads would keep a failed start alive
        }
    }

    private static void endWithStandardInput() {
        Thread follower = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                }
            } catch (java.io.IOException closed) {
                // as good as its end
            }
            Runtime.getRuntime().halt(0);
        });
        follower.setDaemon(true);
        follower.start();
    }

    private static void start(int port) throws Exception {
        var spring = new AnnotationConfigApplicationContext(Beans.class);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("hapi-tomcat").toString());
        Connector connector = new Connector();
        connector.setPort(port);
        connector.setProperty("address", System.getProperty("address", "127.0.0.1"));
        connector.setProperty("relaxedQueryChars", "|");
        connector.setThrowOnFailure(true); // else a port that is taken is only logged
        tomcat.setConnector(connector);
        Context context = tomcat.addContext("", null);
        Tomcat.addServlet(context, "fhir", servlet(spring)).setLoadOnStartup(1);
        context.addServletMappingDecoded("/fhir/*", "fhir");
        tomcat.start();
        if (export) {
            IJobMaintenanceService maintenance = spring.getBean(IJobMaintenanceService.class);
            Executors.newSingleThreadScheduledExecutor()
                    .scheduleWithFixedDelay(maintenance::forceMaintenancePass, 500, 500, TimeUnit.MILLISECONDS);
        }
    }

    private static RestfulServer servlet(AnnotationConfigApplicationContext spring) {
        RestfulServer server = new RestfulServer(spring.getBean(FhirContext.class));
        server.registerProviders(spring.getBean(ResourceProviderFactory.class).createProviders());
        server.registerProvider(spring.getBean(IJpaSystemProvider.class));
        if (export) {
            server.registerProvider(spring.getBean(BulkDataExportProvider.class));
        }
        var pages = spring.getBean(DatabaseBackedPagingProvider.class);
        pages.setDefaultPageSize(10);
        pages.setMaximumPageSize(50);
        server.setPagingProvider(pages);
        server.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                server,
                spring.getBean(IFhirSystemDao.class),
                spring.getBean(JpaStorageSettings.class),
                spring.getBean(ISearchParamRegistry.class),
                spring.getBean("myJpaValidationSupportChain", IValidationSupport.class)));
        server.registerInterceptor(new ResponseHighlighterInterceptor());
        return server;
    }

    @Configuration
    @Import({
        JpaR4Config.class,
        HapiJpaConfig.class,
        JpaBatch2Config.class,
        Batch2JobsConfig.class,
        SubscriptionChannelConfig.class,
        ThreadPoolFactoryConfig.class
    })
    static class Beans {

        @Bean
        JpaStorageSettings storageSettings() {
            JpaStorageSettings settings = new JpaStorageSettings();
            settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);
            settings.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID);
            settings.setAllowMultipleDelete(false);
            settings.setFilterParameterEnabled(true);
            settings.setHibernateSearchIndexSearchParams(false);
            settings.setEnforceReferentialIntegrityOnWrite(strict);
            settings.setEnforceReferentialIntegrityOnDelete(strict);
            settings.setReuseCachedSearchResultsForMillis(strict ? 60_000L : null);
            return settings;
        }

        @Bean
        PartitionSettings partitionSettings() {
            return new PartitionSettings();
        }

        @Bean
        DataSource dataSource() {
            JdbcConnectionPool pool = JdbcConnectionPool.create("jdbc:h2:mem:fhir;DB_CLOSE_DELAY=-1", "sa", "");
            pool.setMaxConnections(50);
            return pool;
        }

        @Bean
        LocalContainerEntityManagerFactoryBean entityManagerFactory(
                ConfigurableListableBeanFactory factory,
                FhirContext context,
                JpaStorageSettings settings,
                DataSource source) {
            var managers = HapiEntityManagerFactoryUtil.newEntityManagerFactory(factory, context, settings);
            Properties hibernate = new Properties();
            hibernate.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
            hibernate.put("hibernate.hbm2ddl.auto", "create");
            hibernate.put("hibernate.search.enabled", "false");
            managers.setPersistenceUnitName("fhir");
            managers.setDataSource(source);
            managers.setJpaProperties(hibernate);
            return managers;
        }

        @Bean
        @Primary
        PlatformTransactionManager transactionManager(EntityManagerFactory managers) {
            return new JpaTransactionManager(managers);
        }
    }
}
