-- The threshold of the LLM was a number that nobody had chosen: now it follows the promise, unless somebody fixes it.
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
UPDATE tenants SET settings = settings - 'llm_threshold' WHERE settings -> 'llm_threshold' = '0.85';
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
