import { availableParallelism } from 'node:os'
import { Type } from '@sinclair/typebox'
import { type About, literals, text, whole } from './setting.ts'

/** The settings of the process and its connections with clients; the others are in src/settings.ts. */
export const serverSettings = {
  HOST: text({
    description: 'Address to listen on.',
    wants: 'an address or a host name',
    default: '0.0.0.0',
    playground: 'localhost'
  }),
  PORT: whole(0, 65535, 8080, 'Port to listen on; 0 takes a free one.'),
  METRICS_HOST: text({
    description: 'Address on which Prometheus reads /metrics.',
    wants: 'an address or a host name',
    default: '127.0.0.1'
  }),
  METRICS_PORT: whole(0, 65535, 9464, 'Port of /metrics; 0 is none.'),
  WORKERS: {
    ...whole(1, 256, 1, 'Processes that share the port; `auto` is one for each core.'),
    wants: 'a whole number from 1 to 256, or auto',
    auto: Math.min(256, availableParallelism())
  },
  TRUST_PROXY: Type.Array(Type.String({ format: 'proxy' }), {
    description: 'Proxies whose X-Forwarded-For names the client\'s address. Without it a client is who connects.',
    wants: 'a comma-separated list of addresses, networks such as 10.0.0.0/8, loopback, linklocal or uniquelocal',
    default: []
  } satisfies About),
  LOG_LEVEL: literals(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    description: 'Least severe log line that is written; `debug` adds a line per request.',
    default: 'info'
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(text({
    description: 'Collector that traces are sent to, by OTLP over HTTP. Without it there are none.',
    wants: 'a URL such as http://collector:4318',
    format: 'http-url'
  })),
  BODY_LIMIT: whole(2048, 1_048_576, 16_384, 'Largest body of a request, in bytes.'),
  HEADERS_LIMIT: whole(4096, 65_536, 16_384, 'Largest headers of a request, in bytes.'),
  REQUEST_TIMEOUT: whole(1, 300, 5, 'How long a request may take to arrive.'),
  HEADERS_TIMEOUT: whole(1, 300, 5, 'How long its headers may take of that.'),
  IDLE_TIMEOUT: whole(1, 3600, 72, 'How long a connection is kept between two requests.'),
  STALL_TIMEOUT: whole(1, 3600, 30, 'How long a connection may be silent while a request is answered, as when a ' +
    'client does not read.'),
  MAX_CONNECTIONS: whole(1, 1_000_000, 20_000, 'Most connections to one process; more are closed at once.'),
  MAX_EVENT_LOOP_DELAY: whole(0, 60_000, 1000, 'Milliseconds by which work is late, on average over a second, from ' +
    'which on /health/ready answers 503; 0 is no limit.'),
  MAX_MEMORY_MIB: whole(0, 1_048_576, 0, 'Resident memory, in MiB, from which on /health/ready answers 503; 0 is no ' +
    'limit.'),
  DRAIN_DELAY: whole(0, 300, 0, 'How long the service goes on after SIGTERM while /health/ready answers 503, so that ' +
    'a load balancer sends its requests elsewhere.'),
  SHUTDOWN_GRACE: whole(1, 300, 10, 'How long closing may take then before it is forced.')
}
