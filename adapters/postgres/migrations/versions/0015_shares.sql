-- The relay counts a tenant's share stream by stream.
DROP INDEX jobs_due;
CREATE INDEX jobs_due ON jobs (tenant_id, stream, due_at, id) WHERE status = 'queued';
DROP INDEX jobs_in_flight;
CREATE INDEX jobs_in_flight ON jobs (tenant_id, stream, id) WHERE status IN ('published', 'running');
