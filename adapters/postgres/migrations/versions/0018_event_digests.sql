-- What a batch's digest is made of is kept beside it: the digest of who acted and when, and those of its events. So what
-- a person's erasure takes out of a batch leaves the chain whole. Batches that were sealed before have neither.
ALTER TABLE event_batches
    ADD COLUMN head BYTEA,
    ADD COLUMN contents BYTEA,
    ADD COLUMN erased BOOLEAN NOT NULL DEFAULT false;
