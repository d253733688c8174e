-- Shows how evenly organizations and their claims are spread over shards, with random ids. Run it in any database that
-- has the extension or is a front; it makes only temporary tables:
--
--   psql -q -d shop -v shards=1024 -v organizations=1000000 -f balance.sql
--
-- Most organizations are small and few are large: an organization has as many claims as 1 / u for a random u between
-- 0 and 1, at most 10,000.

SET client_min_messages = warning;
SELECT FROM (SELECT setseed(0.5)) AS s \g /dev/null
CREATE TEMP TABLE organizations AS
SELECT seats.organization_route(gen_random_uuid()) AS route, least(10000, floor(1 / (1 - random())))::integer AS claims
FROM generate_series(1, :organizations);

WITH shards AS (
	SELECT s.shard, count(o.route) AS organizations, coalesce(sum(o.claims), 0) AS claims
	FROM generate_series(0, :shards - 1) AS s (shard)
	-- As PL/Proxy does: the last bits where there are 2, 4, 8 ... shards, else modular_mapping.
	LEFT JOIN organizations AS o
		ON CASE WHEN :shards & (:shards - 1) = 0 THEN o.route & (:shards - 1) ELSE abs(o.route % :shards) END = s.shard
	GROUP BY s.shard
), summary AS (
	SELECT 'organizations' AS what, min(organizations), percentile_cont(0.5) WITHIN GROUP (ORDER BY organizations) AS median,
		max(organizations), avg(organizations) AS mean, stddev_pop(organizations) AS deviation, sqrt(avg(organizations)) AS by_chance
	FROM shards
	UNION ALL
	SELECT 'claims', min(claims), percentile_cont(0.5) WITHIN GROUP (ORDER BY claims), max(claims), avg(claims), stddev_pop(claims),
		sqrt(avg(organizations) * (SELECT avg(claims::numeric * claims) FROM organizations))
	FROM shards
)
SELECT what, min, round(median::numeric) AS median, max, round(mean) AS mean, round(max / mean, 2) AS max_of_mean,
	round(deviation, 1) AS deviation, round(by_chance::numeric, 1) AS by_chance
FROM summary;
