import { availableParallelism } from 'node:os'
import { Type } from '@sinclair/typebox'
import { integer, oneOf, seconds, type SettingOptions, text } from './setting-types.ts'

/** The settings of the process and of its connections with clients. */
export const serverSettings = {
  HOST: text({
    description: 'Address to listen on.',
    expected: 'an address or a host name',
    default: '0.0.0.0',
    development: 'localhost'
  }),
  PORT: integer(0, 65535, 8080, 'Port to listen on; 0 picks a free port.'),
  METRICS_HOST: text({
    description: 'Address to serve `/metrics` on.',
    expected: 'an address or a host name',
    default: '127.0.0.1'
  }),
  METRICS_PORT: integer(0, 65535, 9464, 'Port to serve `/metrics` on; 0 disables it.'),
  WORKERS: {
    ...integer(1, 256, 1, 'Number of processes that share the port; `auto` starts one per core.'),
    expected: 'a whole number from 1 to 256, or auto',
    auto: Math.min(256, availableParallelism())
  },
  TRUST_PROXY: Type.Array(Type.String({ format: 'proxy' }), {
    description: 'Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are trusted. Without it, the client is the ' +
      'peer of the connection.',
    expected: 'a comma-separated list of addresses, networks such as 10.0.0.0/8, loopback, linklocal or uniquelocal',
    default: []
  } satisfies SettingOptions),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    description: 'Minimum level of log lines; `debug` adds a line per request.',
    default: 'info'
  }),
  OTEL_EXPORTER_OTLP_ENDPOINT: Type.Optional(text({
    description: 'OpenTelemetry collector to send traces to (OTLP over HTTP). Tracing is off without it.',
    expected: 'a URL such as http://collector:4318',
    format: 'http-url'
  })),
  BODY_LIMIT: integer(2048, 1_048_576, 16_384, 'Maximum size of a request body.', 'bytes'),
  MAX_HEADER_SIZE: integer(4096, 65_536, 16_384, 'Maximum total size of the request headers.', 'bytes'),
  REQUEST_TIMEOUT: seconds(1, 300, 5, 'Time within which a whole request must arrive.'),
  HEADERS_TIMEOUT: seconds(1, 300, 5, 'Time within which the headers of a request must arrive.'),
  REQUEST_DEADLINE: seconds(1, 300, 10, 'Time within which a request is responded to. Beyond it, the response is 503, ' +
    'and no further statement of the request is executed.'),
  KEEP_ALIVE_TIMEOUT: seconds(1, 3600, 72, 'Time an idle connection is kept open between two requests.'),
  CONNECTION_TIMEOUT: seconds(1, 3600, 30, 'Time a connection may be silent during a request, for example because ' +
    'the client does not read the response.'),
  MAX_CONNECTIONS: integer(1, 1_000_000, 20_000, 'Maximum number of client connections per process. Lowered ' +
    'if the limit of file descriptors does not allow it.'),
  MAX_CONNECTIONS_PER_ADDRESS: integer(0, 1_000_000, 1000, 'Maximum number of connections per process from one address; ' +
    '0 disables the limit. Those of TRUST_PROXY are exempt.'),
  RATE_LIMIT_REQUESTS: integer(0, 1_000_000_000, 120_000, 'Maximum number of requests per minute, address and process, ' +
    'of any kind but `/health`; 0 disables the limit.'),
  MAX_EVENT_LOOP_DELAY: integer(0, 60_000, 1000, 'Mean event-loop delay above which `/health/ready` returns 503; 0 ' +
    'disables the check.', 'milliseconds'),
  MAX_MEMORY_MIB: integer(0, 1_048_576, 0, 'Resident memory above which `/health/ready` returns 503; 0 disables the ' +
    'check.', 'MiB'),
  DRAIN_DELAY: seconds(0, 300, 0, 'Time the service keeps serving after SIGTERM while `/health/ready` returns 503, ' +
    'so that load balancers can route around it.'),
  SHUTDOWN_GRACE: seconds(1, 300, 10, 'Time after the drain delay before a shutdown is forced.')
}
