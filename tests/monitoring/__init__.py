"""What operators watch: rules, runbooks and the dashboard, and all of it in a real Prometheus and Alertmanager."""
