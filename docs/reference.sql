-- Writes docs/reference.md from the catalog of a database that has the extension and nothing else;
-- ci/docs runs it. What is said of an object is its COMMENT.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
-- Names are written with their schemas.
SET search_path = pg_catalog;

-- Who gets rights from grant_access.
CREATE ROLE anonymous;
CREATE ROLE backend;
CREATE ROLE customer;
SELECT FROM seats.grant_access('anonymous', 'backend', 'customer') \g /dev/null

-- A row of a table in Markdown.
CREATE FUNCTION pg_temp.cells(VARIADIC cells text[]) RETURNS text LANGUAGE sql AS $$
	SELECT '| ' || string_agg(replace(coalesce(cell, ''), '|', '\|'), ' | ' ORDER BY n) || ' |'
	FROM unnest(cells) WITH ORDINALITY AS c (cell, n)
$$;

-- Who, besides the owner, may do that with an object.
CREATE FUNCTION pg_temp.roles(acl aclitem[], privilege text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(grantee::regrole::text, ', ' ORDER BY grantee::regrole::text)
	FROM aclexplode(acl)
	WHERE privilege_type = privilege AND grantee::regrole::text IN ('anonymous', 'backend', 'customer')
$$;

-- The constraints, indexes, triggers and policies of a table, with what a reader of it needs to know.
CREATE FUNCTION pg_temp.rules(of regclass) RETURNS TABLE (kind int, name name, definition text, comment text)
LANGUAGE sql AS $$
	SELECT 1, conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')
	FROM pg_constraint WHERE conrelid = of AND contype IN ('c', 'f', 'p', 'u')
	UNION ALL
	SELECT 2, relname, regexp_replace(pg_get_indexdef(indexrelid), '^CREATE (UNIQUE )?INDEX .* USING', '\1INDEX'),
		obj_description(indexrelid, 'pg_class')
	FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
	WHERE indrelid = of AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND conrelid = of)
	UNION ALL
	SELECT 3, tgname, regexp_replace(pg_get_triggerdef(oid), '^CREATE (CONSTRAINT )?TRIGGER \S+ (.*) ON .* FOR EACH (\w+)( WHEN .*)? EXECUTE .*$',
			'TRIGGER \2, each \3\4'),
		obj_description(oid, 'pg_trigger')
	FROM pg_trigger WHERE tgrelid = of AND NOT tgisinternal
	UNION ALL
	SELECT 4, polname, 'POLICY USING (' || pg_get_expr(polqual, polrelid) || ')', obj_description(oid, 'pg_policy')
	FROM pg_policy WHERE polrelid = of
$$;

-- The columns of a table, view or composite type.
CREATE FUNCTION pg_temp.columns(of regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(pg_temp.cells('`' || attname || '`',
			format_type(atttypid, atttypmod)
				|| CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END
				|| CASE attgenerated WHEN 's' THEN ' GENERATED' ELSE '' END
				|| CASE attidentity WHEN '' THEN '' ELSE ' IDENTITY' END
				|| coalesce(' `' || CASE WHEN attgenerated = '' THEN 'DEFAULT ' END || pg_get_expr(adbin, adrelid) || '`', ''),
			col_description(attrelid, attnum)), E'\n' ORDER BY attnum)
	FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
	WHERE attrelid = of AND attnum > 0 AND NOT attisdropped
$$;

-- Functions that are called, those for triggers not among them.
CREATE FUNCTION pg_temp.functions(of regnamespace) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format(E'### %s\n\n```\n%s(%s)\nRETURNS %s\n```\n\n%s.%s', proname, oid::regproc,
			CASE WHEN pronargs > 1 THEN E'\n    ' || replace(pg_get_function_arguments(oid), ', ', E',\n    ')
				ELSE pg_get_function_arguments(oid) END,
			pg_get_function_result(oid), obj_description(oid, 'pg_proc'),
			coalesce(' For ' || pg_temp.roles(proacl, 'EXECUTE') || '.', ' For the owner.')),
		E'\n\n' ORDER BY proname, oid)
	FROM pg_proc
	WHERE pronamespace = of AND prorettype <> 'trigger'::regtype
$$;

SELECT $$# Reference

What the extension makes, as the catalog of a database says it. `make docs` writes this file; the text is that of the
objects' comments. Errors, with what to do about each, are in the [README](../README.md#errors). "For" names the roles that get the right from
`grant_access`, by the names of its arguments.

$$ || obj_description('seats'::regnamespace, 'pg_namespace') || '.';

\echo
SELECT E'## Functions\n\n' || pg_temp.functions('seats');

\echo
SELECT E'## Functions over HTTP\n\n' || obj_description('seats_http'::regnamespace, 'pg_namespace') || E'.\n\n'
	|| pg_temp.functions('seats_http');

\echo
SELECT E'## Types\n\n' || string_agg(CASE typtype
	WHEN 'e' THEN format(E'### %s\n\n%s.\n\nValues: %s.', typname, obj_description(oid, 'pg_type'),
		(SELECT string_agg('`' || enumlabel || '`', ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
	ELSE format(E'### %s\n\n%s.\n\n| field | type | |\n|---|---|---|\n%s', typname, obj_description(oid, 'pg_type'),
		pg_temp.columns(typrelid)) END, E'\n\n' ORDER BY typname)
FROM pg_type
WHERE typnamespace IN ('seats'::regnamespace, 'seats_http'::regnamespace)
	AND (typtype = 'e' OR typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = typrelid) = 'c');

\echo
SELECT E'## Tables\n\n' || string_agg(
	format(E'### %s\n\n%s.\n\n| column | type | |\n|---|---|---|\n%s\n\n| rule | | |\n|---|---|---|\n%s', relname,
		obj_description(oid, 'pg_class'), pg_temp.columns(oid),
		(SELECT string_agg(pg_temp.cells('`' || name || '`', '`' || regexp_replace(definition, '\s+', ' ', 'g') || '`', comment), E'\n' ORDER BY kind, name)
			FROM pg_temp.rules(pg_class.oid))),
	E'\n\n' ORDER BY oid)
FROM pg_class
WHERE relnamespace = 'seats'::regnamespace AND relkind = 'r';

\echo
SELECT E'## Views\n\n' || string_agg(
	format(E'### %s\n\n%s.%s\n\n| column | type | |\n|---|---|---|\n%s', relname, obj_description(oid, 'pg_class'),
		coalesce(' For ' || pg_temp.roles(relacl, 'SELECT') || '.', ' For the owner.'), pg_temp.columns(oid)),
	E'\n\n' ORDER BY relname)
FROM pg_class
WHERE relnamespace = 'seats'::regnamespace AND relkind = 'v';

\echo
LOAD 'seats';
SELECT E'## Settings\n\n| setting | default | values | who | |\n|---|---|---|---|---|\n' || string_agg(
	pg_temp.cells('`' || name || '`', '`' || boot_val || '`',
		coalesce(array_to_string(enumvals, ', '), CASE vartype WHEN 'bool' THEN 'on, off' ELSE '' END
			|| coalesce(min_val || ' to ' || max_val || coalesce(' ' || unit, ''), '')),
		context, concat_ws(' ', short_desc, extra_desc)), E'\n' ORDER BY name)
FROM pg_settings
WHERE name LIKE 'seats.%';
