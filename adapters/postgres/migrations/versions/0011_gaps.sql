-- Imports of former versions were not compared with the balances of their statements.
ALTER TABLE imports ADD COLUMN gaps JSONB NOT NULL DEFAULT '[]';
