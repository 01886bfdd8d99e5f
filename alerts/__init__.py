"""Recording rules, alert rules and their runbook; ``python -m alerts`` writes the YAML files that Prometheus loads."""
