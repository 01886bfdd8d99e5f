"""``python -m config.stack``: exporter, Prometheus and Alertmanager by the shipped files, and demo ratings to watch.

It only starts other programs and talks to them over HTTP: what it shows is what every user has.
"""
