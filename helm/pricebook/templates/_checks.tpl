{{/* What no schema can say, for it is of several values: refused with what to do. */}}
{{- define "pricebook.check" -}}
{{- $ways := list }}
{{- with .Values.mongodb }}
{{- if .uri }}{{ $ways = append $ways "mongodb.uri" }}{{ end }}
{{- if .existingSecret.name }}{{ $ways = append $ways "mongodb.existingSecret.name" }}{{ end }}
{{- if .own.enabled }}{{ $ways = append $ways "mongodb.own.enabled" }}{{ end }}
{{- end }}
{{- if not $ways }}
{{- fail "There is no MongoDB: set mongodb.existingSecret.name or mongodb.uri to yours, or mongodb.own.enabled for one of the release's own." }}
{{- end }}
{{- if gt (len $ways) 1 }}
{{- fail (printf "There is more than one MongoDB: %s are set. Keep one of them." (join " and " $ways)) }}
{{- end }}
{{- /* Not in the schema, whose refusal would show it, with its password. */}}
{{- if not (regexMatch "^$|^mongodb([+]srv)?://[^ ]+$" .Values.mongodb.uri) }}
{{- fail "mongodb.uri has to begin with mongodb:// or mongodb+srv://, and has no blanks." }}
{{- end }}
{{- with .Values.colours }}
{{- if and .enabled (eq (int (get . .live).replicas) 0) }}
{{- fail (printf "colours.live is %s, which has no pods: set colours.%s.replicas first, and let it get ready." .live .live) }}
{{- end }}
{{- end }}
{{- if and .Values.edge.enabled (ge (int .Values.edge.keepaliveSeconds) (int .Values.drainSeconds)) }}
{{- fail (printf "edge.keepaliveSeconds is %d and drainSeconds %d: it has to be less, or requests are sent to servers that went away." (int .Values.edge.keepaliveSeconds) (int .Values.drainSeconds)) }}
{{- end }}
{{- if and .Values.edge.enabled (ge (int .Values.edge.keepaliveSeconds) 60) }}
{{- fail (printf "edge.keepaliveSeconds is %d: servers close what was idle for 75 s themselves, so it has to be less than 60." (int .Values.edge.keepaliveSeconds)) }}
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
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- fail "httpRoute.enabled needs httpRoute.parentRefs: the Gateways that take the route." }}
{{- end }}
{{- end }}
