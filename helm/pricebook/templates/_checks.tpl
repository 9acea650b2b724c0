{{/* Checks that involve several values, which a schema cannot express. */}}
{{- define "pricebook.check" -}}
{{- $configured := list }}
{{- with .Values.mongodb }}
{{- if .uri }}{{ $configured = append $configured "mongodb.uri" }}{{ end }}
{{- if .existingSecret.name }}{{ $configured = append $configured "mongodb.existingSecret.name" }}{{ end }}
{{- if .own.enabled }}{{ $configured = append $configured "mongodb.own.enabled" }}{{ end }}
{{- end }}
{{- if not $configured }}
{{- fail "No MongoDB is configured: set mongodb.existingSecret.name or mongodb.uri for an existing one, or mongodb.own.enabled." }}
{{- end }}
{{- if gt (len $configured) 1 }}
{{- fail (printf "More than one MongoDB is configured: %s are set. Keep one of them." (join " and " $configured)) }}
{{- end }}
{{- /* Not in the schema, whose error message would show the password. */}}
{{- if not (regexMatch "^$|^mongodb([+]srv)?://[^ ]+$" .Values.mongodb.uri) }}
{{- fail "mongodb.uri must begin with mongodb:// or mongodb+srv:// and must not contain spaces." }}
{{- end }}
{{- with .Values.colours }}
{{- if and .enabled (eq (int (get . .live).replicas) 0) }}
{{- fail (printf "colours.live is %s, which has no pods: set colours.%s.replicas first, and wait until they are ready." .live .live) }}
{{- end }}
{{- end }}
{{- if and .Values.edge.enabled (ge (int .Values.edge.keepaliveSeconds) (int .Values.drainSeconds)) }}
{{- fail (printf "edge.keepaliveSeconds is %d and drainSeconds %d: it must be less, or requests are sent to servers that have ended." (int .Values.edge.keepaliveSeconds) (int .Values.drainSeconds)) }}
{{- end }}
{{- if and .Values.edge.enabled (ge (int .Values.edge.keepaliveSeconds) 60) }}
{{- fail (printf "edge.keepaliveSeconds is %d: servers close connections that are idle for 75 s, so it must be less than 60." (int .Values.edge.keepaliveSeconds)) }}
{{- end }}
{{- if and .Values.colours.enabled .Values.autoscaling.enabled }}
{{- range $colour := list "green" "blue" }}
{{- if gt (int (get $.Values.colours $colour).replicas) (int $.Values.autoscaling.maxReplicas) }}
{{- fail (printf "colours.%s.replicas is %d, more than autoscaling.maxReplicas, %d." $colour (int (get $.Values.colours $colour).replicas) (int $.Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.autoscaling }}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas is %d, more than autoscaling.maxReplicas, %d." (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.enabled needs ingress.host: the name that clients call." }}
{{- end }}
{{- if and (or .Values.ingress.enabled .Values.httpRoute.enabled) (not .Values.trustedProxies.balancers) }}
{{- fail "trustedProxies.balancers is empty: set the networks of the ingress controller or load balancer, whose X-Forwarded-For has the addresses of clients. Otherwise all clients would have its address, and share its limits." }}
{{- end }}
{{- if and .Values.edge.enabled (not .Values.trustedProxies.edge) }}
{{- fail "trustedProxies.edge is empty: set the network of the edge's pods, which is the cluster's pod network. Otherwise all clients would have the address of the edge, and share its limits." }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "serviceMonitor.enabled needs networkPolicy.metricsFrom: the pods of Prometheus, which read the metrics." }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateways that take the route." }}
{{- end }}
{{- if and .Values.console.enabled .Values.console.ingress.enabled }}
{{- include "pricebook.checkConsole" . }}
{{- end }}
{{- end }}

{{/* The same for the Ingress of the console. */}}
{{- define "pricebook.checkConsole" -}}
{{- $hosts := concat (ternary (list .Values.ingress.host) list .Values.ingress.enabled) (ternary .Values.httpRoute.hostnames list .Values.httpRoute.enabled) }}
{{- with .Values.console }}
{{- if not .ingress.host }}
{{- fail "console.ingress.enabled needs console.ingress.host: the name under which people open the console." }}
{{- end }}
{{- if has .ingress.host $hosts }}
{{- fail (printf "console.ingress.host is %s, which is the host of the API: give the console one of its own, so that its sessions are sent to nothing else." .ingress.host) }}
{{- end }}
{{- if not .ingress.authentication }}
{{- fail "console.ingress.authentication is empty: set the annotations with which the ingress controller authenticates people, as in the examples of values.yaml. Otherwise all who reach the ingress could try tokens on the console." }}
{{- end }}
{{- end }}
{{- end }}

{{/* Warnings about values that work but should be changed. A network is wide if it contains a whole private range. */}}
{{- define "pricebook.warnings" -}}
{{- $wide := "/[0-8]$|^172[.].*/(9|1[0-2])$|^192[.]168[.].*/(9|1[0-6])$" }}
{{- range $name, $networks := .Values.trustedProxies }}
{{- range $networks }}
{{- if regexMatch $wide . }}
WARNING: trustedProxies.{{ $name }} has {{ . }}, a whole private range: a client in it can claim any address, and so evade limits.
Set the networks of the {{ ternary "edge's pods" "load balancers" (eq $name "edge") }} alone.
{{- else if hasPrefix "192.0.2." . }}
WARNING: trustedProxies.{{ $name }} has {{ . }}, the network of examples: until you replace it, all clients have the address of the
{{ ternary "edge's pods" "load balancers" (eq $name "edge") }}, and share its limits.
{{- end }}
{{- end }}
{{- end }}
{{- if not .Values.networkPolicy.enabled }}
WARNING: networkPolicy.enabled is false: all pods of the cluster reach the metrics{{ if .Values.edge.enabled }}, and the servers without the limits of the edge{{ end }}.
{{- end }}
{{- end }}
