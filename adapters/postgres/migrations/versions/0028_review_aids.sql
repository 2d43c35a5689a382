-- By what examples are like a record that waits for a person: those of one group, or of one counterparty, are counted by
-- category. What there is gets its keys from the migration.
ALTER TABLE examples
    ADD COLUMN group_key TEXT NOT NULL DEFAULT '',
    ADD COLUMN party_key TEXT NOT NULL DEFAULT '',
    ADD COLUMN occurred_on DATE;
CREATE INDEX examples_alike ON examples (tenant_id, group_key, occurred_on DESC)
    INCLUDE (category_id, text_digest, record_id);
CREATE INDEX examples_of_party ON examples (tenant_id, party_key, occurred_on DESC)
    INCLUDE (category_id, record_id) WHERE party_key <> '';
