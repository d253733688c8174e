-- What lets the regression tests run on a front: the extension's tables, as partitioned tables whose partitions are
-- on the shards, and the functions without organization_id, which look it up there.

SET client_min_messages = warning;
CREATE EXTENSION postgres_fdw;
CREATE USER MAPPING FOR CURRENT_USER SERVER seats;

DO $do$
DECLARE
	s record;
	name text;
BEGIN
	FOR s IN SELECT * FROM seats_front.shards() LOOP
		EXECUTE format('CREATE SERVER shard%s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (%s)', s.shard,
			(SELECT string_agg(format('%I %L', o[1], trim($$'$$ FROM o[2])), ', ') FROM regexp_matches(s.connection, '(\w+)=(\S+)', 'g') AS o));
		EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER shard%s', s.shard);
		EXECUTE format('CREATE SCHEMA shard%s', s.shard);
		EXECUTE format('IMPORT FOREIGN SCHEMA seats EXCEPT (jwt_keys, my_seats) FROM SERVER shard%1$s INTO shard%1$s '
			'OPTIONS (import_default %2$L)', s.shard, 'true');
	END LOOP;
	FOREACH name IN ARRAY ARRAY['organizations', 'products', 'customers', 'subscriptions', 'orders', 'customer_seats',
			'customer_sessions', 'join_links', 'events'] LOOP
		EXECUTE format('CREATE TABLE seats.%1$I (LIKE shard0.%1$I INCLUDING DEFAULTS) PARTITION BY LIST ((seats.organization_route(%2$I) & 3))',
			name, CASE name WHEN 'organizations' THEN 'id' ELSE 'organization_id' END);
		FOR s IN SELECT * FROM seats_front.shards() LOOP
			EXECUTE format('ALTER TABLE seats.%1$I ATTACH PARTITION shard%2$s.%1$I FOR VALUES IN (%2$s)', name, s.shard);
		END LOOP;
	END LOOP;
END
$do$;

CREATE SCHEMA front;
ALTER FUNCTION seats.assign_seat SET SCHEMA front;
ALTER FUNCTION seats.assign_seats SET SCHEMA front;
ALTER FUNCTION seats.import_seats SET SCHEMA front;
ALTER FUNCTION seats.resend_invitation SET SCHEMA front;
ALTER FUNCTION seats.revoke_seat SET SCHEMA front;
ALTER FUNCTION seats.revoke_seats SET SCHEMA front;
ALTER FUNCTION seats.set_seats SET SCHEMA front;
ALTER FUNCTION seats.list_seats SET SCHEMA front;
ALTER FUNCTION seats.get_seat SET SCHEMA front;
ALTER FUNCTION seats.open_session SET SCHEMA front;
ALTER FUNCTION seats.erase_customer SET SCHEMA front;
ALTER FUNCTION seats.create_join_link SET SCHEMA front;
ALTER FUNCTION seats.list_join_links SET SCHEMA front;
ALTER FUNCTION seats.revoke_join_link SET SCHEMA front;

CREATE FUNCTION front.of_purchase(subscription uuid, purchase uuid)
RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT organization_id FROM seats.subscriptions WHERE id = subscription),
		(SELECT organization_id FROM seats.orders WHERE id = purchase), '00000000-0000-4000-8000-000000000000')
$$;
CREATE FUNCTION front.of_seat(seat uuid)
RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT organization_id FROM seats.customer_seats WHERE id = seat), '00000000-0000-4000-8000-000000000000')
$$;
CREATE FUNCTION front.of_customer(customer uuid)
RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT organization_id FROM seats.customers WHERE id = customer), '00000000-0000-4000-8000-000000000000')
$$;
CREATE FUNCTION front.of_link(link uuid)
RETURNS uuid LANGUAGE sql STABLE AS $$
	SELECT coalesce((SELECT organization_id FROM seats.join_links WHERE id = link), '00000000-0000-4000-8000-000000000000')
$$;

CREATE FUNCTION seats.assign_seat(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL, email text DEFAULT NULL,
	external_customer_id text DEFAULT NULL, customer_id uuid DEFAULT NULL, metadata jsonb DEFAULT NULL, immediate_claim boolean DEFAULT false)
RETURNS seats.seat_invitation LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.assign_seat(front.of_purchase($1, $2), $1, $2, $3, $4, $5, $6, $7);
END
$$;
CREATE FUNCTION seats.assign_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL, emails text[] DEFAULT NULL,
	metadata jsonb DEFAULT NULL)
RETURNS SETOF seats.seat_invitation LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT * FROM front.assign_seats(front.of_purchase($1, $2), $1, $2, $3, $4);
END
$$;
CREATE FUNCTION seats.import_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL, emails text[] DEFAULT NULL,
	external_customer_ids text[] DEFAULT NULL, claimed_at timestamptz[] DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.import_seats(front.of_purchase($1, $2), $1, $2, $3, $4, $5);
END
$$;
CREATE FUNCTION seats.resend_invitation(seat_id uuid)
RETURNS seats.seat_invitation LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.resend_invitation(front.of_seat($1), $1);
END
$$;
CREATE FUNCTION seats.revoke_seat(seat_id uuid)
RETURNS seats.customer_seat LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.revoke_seat(front.of_seat($1), $1);
END
$$;
CREATE FUNCTION seats.revoke_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL)
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.revoke_seats(front.of_purchase($1, $2), $1, $2);
END
$$;
CREATE FUNCTION seats.set_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL, seats integer DEFAULT NULL,
	surplus text DEFAULT 'refuse')
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.set_seats(front.of_purchase($1, $2), $1, $2, $3, $4);
END
$$;
CREATE FUNCTION seats.list_seats(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL)
RETURNS seats.seats_list LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN front.list_seats(front.of_purchase($1, $2), $1, $2);
END
$$;
CREATE FUNCTION seats.get_seat(seat_id uuid)
RETURNS seats.customer_seat LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN front.get_seat(front.of_seat($1), $1);
END
$$;
CREATE FUNCTION seats.has_seat(product_id uuid, customer_id uuid)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN seats.has_seat(front.of_customer($2), $1, $2);
END
$$;
CREATE FUNCTION seats.open_session(seat_id uuid)
RETURNS seats.opened_session LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.open_session(front.of_seat($1), $1);
END
$$;
CREATE FUNCTION seats.erase_customer(customer_id uuid)
RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.erase_customer(front.of_customer($1), $1);
END
$$;
CREATE FUNCTION seats.create_join_link(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL, max_uses integer DEFAULT NULL,
	expires_in interval DEFAULT '7 days', email_domains text[] DEFAULT NULL)
RETURNS seats.created_join_link LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.create_join_link(front.of_purchase($1, $2), $1, $2, $3, $4, $5);
END
$$;
CREATE FUNCTION seats.list_join_links(subscription_id uuid DEFAULT NULL, order_id uuid DEFAULT NULL)
RETURNS SETOF seats.join_link LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN QUERY SELECT * FROM front.list_join_links(front.of_purchase($1, $2), $1, $2);
END
$$;
CREATE FUNCTION seats.revoke_join_link(link_id uuid)
RETURNS seats.join_link LANGUAGE plpgsql AS $$
BEGIN
	RETURN front.revoke_join_link(front.of_link($1), $1);
END
$$;
