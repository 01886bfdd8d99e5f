"""Configuration files of everything that takes part; ``config.stack`` runs it all on one machine."""
