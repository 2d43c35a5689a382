"""Background work: the relay that publishes jobs, the Celery worker that carries them out."""
