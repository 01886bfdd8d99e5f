"""Dashboards as code: ``python -m grafana`` writes ``grafana/dashboards/*.json``."""

import warnings

# The SDK warns, on import, that there is a newer form of dashboards. The classic one is what every Grafana of today
# reads from files, 12 and 13 alike.
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Prefer using dashboardv2.Dashboard instead", DeprecationWarning)
    import grafana_foundation_sdk.builders.dashboard
    import grafana_foundation_sdk.builders.stat  # noqa: F401 - for its warning, here once and for all
