{{/* What the pods of all components have in common: how they are run, and what they may not. */}}

{{/* Of a pod: (dict "root" . "user" 10001). */}}
{{- define "pricebook.pod" -}}
serviceAccountName: {{ include "pricebook.serviceAccountName" .root }}
automountServiceAccountToken: false
# Otherwise a Service named pricebook would give its pods PRICEBOOK_PORT=tcp://..., which is no setting.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of a container. */}}
{{- define "pricebook.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Pods with the same labels, spread over nodes and zones: of the dictionary that pricebook.selector takes. */}}
{{- define "pricebook.spread" -}}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: {{ $.root.Values.topologySpread.maxSkew }}
  topologyKey: {{ . }}
  whenUnsatisfiable: {{ $.root.Values.topologySpread.whenUnsatisfiable }}
  labelSelector:
    matchLabels:
      {{- include "pricebook.selector" $ | nindent 6 }}
{{- end }}
{{- end }}

{{/* The environment of whatever runs Pricebook's image. */}}
{{- define "pricebook.env" -}}
envFrom:
  - configMapRef:
      name: {{ include "pricebook.fullname" . }}
env:
  - name: PRICEBOOK_MONGODB_URI
    valueFrom:
      secretKeyRef:
        {{- include "pricebook.uriSecret" . | trim | nindent 8 }}
{{- range $name, $value := .Values.environment }}
  - name: {{ $name }}
    value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* What it has mounted, and the volumes for that. */}}
{{- define "pricebook.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.mongodb.caSecret.name }}
- name: mongodb-ca
  mountPath: /etc/pricebook/mongodb
  readOnly: true
{{- end }}
{{- if .Values.trustedDocuments.configMap }}
- name: trusted-documents
  mountPath: /etc/pricebook/documents
  readOnly: true
{{- end }}
{{- end }}

{{- define "pricebook.volumes" -}}
# Prometheus' files of the worker processes are here too.
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmpSize }}
{{- with .Values.mongodb.caSecret }}
{{- if .name }}
- name: mongodb-ca
  secret:
    secretName: {{ .name }}
    items:
      - key: {{ .key }}
        path: {{ .key }}
{{- end }}
{{- end }}
{{- with .Values.trustedDocuments.configMap }}
- name: trusted-documents
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}

{{/* Looking up names, which a NetworkPolicy lets every pod do. */}}
{{- define "pricebook.dns" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}
