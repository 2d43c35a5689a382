-- Connections that were ended while what they brought stays, and what was refused of deliveries to one.
ALTER TABLE connections
    ADD COLUMN disabled_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN refused_deliveries JSONB;

-- The imports of a connection are listed and added up.
CREATE INDEX imports_of_connection ON imports (tenant_id, connection_id, id DESC);
