-- One-time codes beside a password: the sealed key, the last code used, and the digests of recovery codes.
ALTER TABLE local_accounts
    ADD COLUMN second_factor BYTEA,
    ADD COLUMN last_step BIGINT DEFAULT 0 NOT NULL,
    ADD COLUMN recovery BYTEA[] DEFAULT '{}' NOT NULL;
