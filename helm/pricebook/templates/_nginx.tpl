{{/*
The configuration of the edge: nginx as load balancer and caching server. Paths are relative to its prefix (-p). The
servers are those of `edge.servers`, or the ones behind the Service of the live colour.
*/}}
{{- define "pricebook.nginx" -}}
{{- $edge := .Values.edge -}}
{{- $body := include "pricebook.text" .Values.settings.maxBodyBytes -}}
{{- $upload := include "pricebook.text" .Values.settings.maxUploadBytes -}}
{{- $query := include "pricebook.text" .Values.settings.maxQueryBytes -}}
{{- $small := ternary $query $body (gt (include "pricebook.bytes" $body | int64) (include "pricebook.bytes" $query | int64)) -}}
{{- $service := printf "%s:%d" (include "pricebook.liveService" .) (int .Values.service.port) -}}
worker_processes {{ $edge.workers }};
worker_shutdown_timeout 60s;
pid nginx.pid;
error_log stderr warn;

events {
    worker_connections {{ $edge.connections }};
}

http {
    access_log off;
    server_tokens off;
    default_type application/json;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path unused;
    uwsgi_temp_path unused;
    scgi_temp_path unused;

    # Requests. A query by GET has its variables in the URL, and tokens can be long: 32 KiB for each line of the head, 64
    # for all. Bodies are passed on as they arrive, and never stored here: the servers refuse a caller before they read one.
    large_client_header_buffers 2 32k;
    client_header_timeout {{ $edge.clientSeconds }}s;
    client_body_timeout {{ $edge.clientSeconds }}s;
    client_body_buffer_size 16k;
    client_max_body_size {{ include "pricebook.nginxSize" $small }};
    proxy_request_buffering off;

    # Responses. Only those that may be cached are stored here; the others wait in memory until the client reads them.
    sendfile on;
    tcp_nopush on;
    send_timeout {{ $edge.clientSeconds }}s;
    reset_timedout_connection on;
    proxy_max_temp_file_size 0;
    keepalive_timeout 65s;
    keepalive_requests 100000;
    gzip on;
    gzip_vary on;
    gzip_comp_level 1;
    gzip_min_length 1400;
    gzip_proxied any;
    gzip_types application/json application/graphql-response+json;

    # Client addresses and their rate limit. The host of an IPv6 address has at least a network of 64 bits for itself.
    {{- range .Values.trustedProxies.balancers }}
    set_real_ip_from {{ . }};
    {{- end }}
    real_ip_header X-Forwarded-For;
    real_ip_recursive on;
    {{- if $edge.ratePerSecond }}
    map $binary_remote_addr $client {
        default                                      $binary_remote_addr;
        "~(?s)^\x00{10}\xff\xff(?<client_ipv4>.{4})$" $client_ipv4;
        "~(?s)^(?<client_network>.{8}).{8}$"         $client_network;
    }
    limit_req_zone $client zone=rates:16m rate={{ $edge.ratePerSecond }}r/s;
    limit_req zone=rates burst={{ $edge.burst }} nodelay;
    limit_req_status 429;
    {{- end }}

    upstream servers {
        {{- range $edge.servers }}
        server {{ . }} max_fails=2 fail_timeout=1s;
        {{- else }}
        # The Service knows which pods are ready. A request that could not be sent is retried, and may reach another pod.
        server {{ $service }} max_fails=0;
        server {{ $service }} max_fails=0;
        server {{ $service }} max_fails=0;
        {{- end }}
        zone servers 256k;
        least_conn;
        keepalive 64;
        keepalive_requests 100000;
        # Shorter than the drain time of servers: a server that ends has no idle connection left.
        keepalive_timeout {{ $edge.keepaliveSeconds }}s;
        # Busy connections are closed as well; otherwise new pods would receive no requests.
        keepalive_time 15s;
    }

    # Responses that may be cached. Responses to callers with credentials may not.
    proxy_cache_path cache levels=1:2 keys_zone=answers:{{ $edge.cacheKeys }} max_size={{ $edge.cacheSize }} min_free=256m inactive=1h use_temp_path=off;

    map $http_x_request_id $known_id {
        ""      $request_id;
        default $http_x_request_id;
    }
    map $http_upgrade $connection_header {
        ""      "";
        default upgrade;
    }
    # Long-lived and large requests have locations of their own.
    map "$http_upgrade $http_accept" $is_live {
        default               0;
        "~*^websocket "       1;
        "~*text/event-stream" 1;
    }
    map $http_content_type $is_upload {
        default                 0;
        "~*^multipart/form-data" 1;
    }
    # Callers without credentials send no large bodies.
    map $http_authorization $may_be_large {
        ""      0;
        default 1;
    }
    map "$may_be_large $is_live $is_upload" $location {
        default "";
        "~^0 1" /live;
        "~^1 1" /large-live;
        "1 0 0" /large;
        "1 0 1" /upload;
    }

    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Connection $connection_header;
    proxy_set_header Upgrade $http_upgrade;
    # The address of the client alone: the rest of what arrived can be forged.
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Request-Id $known_id;
    proxy_hide_header X-Request-Id;
    add_header X-Request-Id $known_id always;
    add_header X-Cache $upstream_cache_status always;

    proxy_connect_timeout 1s;
    proxy_read_timeout {{ $edge.readSeconds }}s;
    proxy_send_timeout {{ $edge.readSeconds }}s;
    # Requests are retried only if it is safe: nginx does not repeat a POST that a server may have received.
    proxy_next_upstream error timeout http_502 http_503;
    proxy_next_upstream_tries 3;
    proxy_next_upstream_timeout 10s;

    error_page 413 = @too_large;
    error_page 429 = @too_many;
    error_page 502 504 = @unavailable;

    proxy_cache answers;
    proxy_cache_key $request_uri;
    # Requests with credentials, with a minimum version or with a preview token go to the servers.
    proxy_cache_bypass $http_authorization $http_pricebook_min_version $http_pricebook_preview;
    proxy_no_cache $http_authorization $http_pricebook_min_version $http_pricebook_preview;
    # Stale responses are revalidated by their ETag.
    proxy_cache_revalidate on;
    proxy_cache_background_update on;
    {{- if .Values.settings.cacheMaxAge }}
    # One request fetches a response that many wait for. After this time they look again, and send their own request
    # if it is not there: responses that may not be cached do not queue one after another.
    proxy_cache_lock on;
    proxy_cache_lock_timeout 100ms;
    {{- end }}
    proxy_buffers 16 32k;
    proxy_buffer_size 32k;

    server {
        listen {{ $edge.listen }} backlog=2048;

        # Here and not in a location: nginx checks the length of a body in the first location that matches.
        if ($location) {
            rewrite ^/graphql$ $location last;
        }

        location = /graphql {
            proxy_pass http://servers;
        }
        # Batches may be written while they are sent, with pauses: the servers have accepted the credentials.
        location = /large {
            internal;
            client_max_body_size {{ include "pricebook.nginxSize" $body }};
            client_body_timeout {{ $edge.readSeconds }}s;
            proxy_pass http://servers/graphql$is_args$args;
        }
        location = /upload {
            internal;
            client_max_body_size {{ include "pricebook.nginxSize" $upload }};
            client_body_timeout {{ $edge.readSeconds }}s;
            proxy_pass http://servers/graphql$is_args$args;
        }

        # Subscriptions: unbuffered, and they may be silent for long.
        {{- range $name, $size := dict "/live" $small "/large-live" $body }}
        location = {{ $name }} {
            internal;
            client_max_body_size {{ include "pricebook.nginxSize" $size }};
            proxy_pass http://servers/graphql$is_args$args;
            proxy_cache off;
            proxy_buffering off;
            proxy_read_timeout 1h;
        }
        {{- end }}

        # Readiness of a server, and liveness of the edge itself.
        location = /readyz {
            proxy_pass http://servers;
            proxy_cache off;
        }
        location = /healthz {
            return 200 '{"status":"ok"}';
        }
        location / {
            return 404 '{"errors":[{"message":"The API is at /graphql.","extensions":{"code":"NOT_FOUND"}}]}';
        }

        location @too_large {
            return 413 '{"errors":[{"message":"The limit of a body is {{ $body }}, and {{ $upload }} with a file; without an Authorization header it is {{ $small }}.","extensions":{"code":"BODY_TOO_LARGE"}}]}';
        }
        location @too_many {
            add_header X-Request-Id $known_id always;
            add_header Retry-After 1 always;
            return 429 '{"errors":[{"message":"At most {{ $edge.ratePerSecond }} requests per second are accepted from an address. Try again in a moment.","extensions":{"code":"RATE_LIMITED"}}]}';
        }
        location @unavailable {
            add_header X-Request-Id $known_id always;
            add_header Retry-After 1 always;
            return 503 '{"errors":[{"message":"No server responds. A query, or a batch with its key, can be sent again.","extensions":{"code":"UNAVAILABLE"}}]}';
        }
    }
}
{{- end }}
