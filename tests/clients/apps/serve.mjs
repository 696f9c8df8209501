// A web app of two addresses, /launch and /callback, on a loopback port, until standard input closes.
import { createServer } from 'node:http';

export const asked = JSON.parse(process.argv[2]);

/** `launch` and `callback` may end the response themselves, or return JSON; what they throw is told as JSON too. */
export function serve(routes) {
  const server = createServer(async (request, response) => {
    const route = routes[new URL(request.url, asked.origin).pathname];
    try {
      const told = await route(request, response);
      if (!response.writableEnded) response.end(JSON.stringify(told));
    } catch (error) {
      response.writeHead(500).end(JSON.stringify({ error: String(error), stack: error.stack, cause: error.cause }));
    }
  });
  server.listen(Number(new URL(asked.origin).port), '127.0.0.1', () => console.log('ready'));
  process.stdin.resume().on('end', () => process.exit(0));
}

/** The full address of a request. */
export const address = (request) => new URL(request.url, asked.origin);

export function redirect(response, location) {
  response.writeHead(302, { location: String(location) }).end();
}

/** The ids in a bundle, or in pages of bundles. */
export const ids = (bundles) =>
  [bundles].flat().flatMap((bundle) => bundle.entry ?? []).map(({ resource }) => `${resource.resourceType}/${resource.id}`);
