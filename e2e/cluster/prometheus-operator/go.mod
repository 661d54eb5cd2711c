// The definitions of ServiceMonitor, PodMonitor and PrometheusRule, against which the chart's are checked: `go mod download` of what is required here.
module postern.dev/e2e/cluster/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
