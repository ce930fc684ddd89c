"""The service as processes: reload, crashes, drain, slow clients."""
