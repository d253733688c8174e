-- Carries Stripe's objects over to seats, from the tables that @supabase/stripe-sync-engine 0.48.5 keeps in the schema
-- stripe. Run this once, as the owner of the extension, in the database that has both: psql -d shop -f schema.sql
--
-- Nothing here goes by what a webhook says. Whatever comes, the state that seats should have is computed from Stripe's
-- tables as they are now, so the order of webhooks, repetitions and losses make no difference in the end.

CREATE SCHEMA seats_stripe;
COMMENT ON SCHEMA seats_stripe IS 'Carries Stripe''s products, customers and subscriptions over to seats';

CREATE TABLE seats_stripe.settings (
	is_only boolean DEFAULT true
		CONSTRAINT settings_pkey PRIMARY KEY
		CONSTRAINT settings_is_only_check CHECK (is_only),
	organization_id uuid NOT NULL
		CONSTRAINT settings_organization_fkey REFERENCES seats.organizations (id),
	surplus text NOT NULL DEFAULT 'keep'
		CONSTRAINT settings_surplus_check CHECK (surplus IN ('keep', 'revoke'))
);
COMMENT ON TABLE seats_stripe.settings IS 'One row, which is locked whenever something is carried over: one session does that at a time';
COMMENT ON COLUMN seats_stripe.settings.is_only IS 'Keeps the table at one row';
COMMENT ON COLUMN seats_stripe.settings.organization_id IS 'The organization that the Stripe account belongs to';
COMMENT ON COLUMN seats_stripe.settings.surplus IS 'What becomes of assigned seats that are no longer paid for: keep or revoke';

CREATE TABLE seats_stripe.quantities (
	id text CONSTRAINT quantities_pkey PRIMARY KEY,
	quantity integer NOT NULL,
	told_at timestamptz,
	answers integer NOT NULL DEFAULT 0,
	refusal text
);
COMMENT ON TABLE seats_stripe.quantities IS 'Per subscription, the number of seats that Stripe and seats last agreed on; a larger one in seats has grown there since';
COMMENT ON COLUMN seats_stripe.quantities.id IS 'Stripe''s id of the subscription';
COMMENT ON COLUMN seats_stripe.quantities.quantity IS 'The number that both had';
COMMENT ON COLUMN seats_stripe.quantities.told_at IS 'When Stripe, by its own clock, last answered that it has a number; its tables count again once they are newer';
COMMENT ON COLUMN seats_stripe.quantities.answers IS 'How many answers Stripe has given; after each, the next request has another idempotency key';
COMMENT ON COLUMN seats_stripe.quantities.refusal IS 'Why Stripe refused the last number; null if it did not';

CREATE TABLE seats_stripe.kept (
	kind text,
	id text,
	waits_for text,
	problem text,
	since timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT kept_pkey PRIMARY KEY (kind, id)
);
CREATE INDEX kept_waits_for_idx ON seats_stripe.kept (waits_for);
COMMENT ON TABLE seats_stripe.kept IS 'Stripe''s objects that could not be carried over, or not completely';
COMMENT ON COLUMN seats_stripe.kept.kind IS 'product, customer or subscription';
COMMENT ON COLUMN seats_stripe.kept.id IS 'Stripe''s id of the object';
COMMENT ON COLUMN seats_stripe.kept.waits_for IS 'The object that is missing, as kind and id; it is tried again when that comes';
COMMENT ON COLUMN seats_stripe.kept.problem IS 'What is in the way; somebody must look at it';
COMMENT ON COLUMN seats_stripe.kept.since IS 'When it was kept first';
COMMENT ON INDEX seats_stripe.kept_waits_for_idx IS 'Finds what waited for an object that has come';

-- A schedule names its subscription, and Stripe's table of schedules has no index by that.
CREATE INDEX seats_subscription_idx ON stripe.subscription_schedules (subscription);
COMMENT ON INDEX stripe.seats_subscription_idx IS 'Finds the schedule of a subscription, for seats_stripe.wanted';

CREATE FUNCTION seats_stripe.external_id(customer stripe.customers)
RETURNS text
LANGUAGE sql IMMUTABLE
RETURN coalesce(customer.metadata ->> 'external_id', customer.id);
COMMENT ON FUNCTION seats_stripe.external_id(stripe.customers) IS
'The external_id in seats of a customer of Stripe''s: what its metadata has under that name, else its id';

-- An item of a subscription has its price with the product in it. An item of a schedule's phase has the id of a price.
CREATE FUNCTION seats_stripe.count_seats(organization uuid, items jsonb,
	OUT products bigint, OUT product_id uuid, OUT seats integer, OUT item text, OUT other_seats integer, OUT waits_for text)
LANGUAGE sql STABLE SECURITY DEFINER
BEGIN ATOMIC
	SELECT count(DISTINCT i.product), (array_agg(p.id))[1], coalesce(sum(i.quantity), 0),
		(array_agg(i.id ORDER BY i.id) FILTER (WHERE i.quantity IS NOT NULL))[1],
		sum(i.quantity) - (array_agg(i.quantity ORDER BY i.id) FILTER (WHERE i.quantity IS NOT NULL))[1],
		coalesce('price ' || min(i.price) FILTER (WHERE i.product IS NULL), 'product ' || min(i.product) FILTER (WHERE p.id IS NULL))
	FROM (
		SELECT r.id, r.quantity, coalesce(r.price ->> 'id', r.price #>> '{}') AS price,
			coalesce(r.price ->> 'product', k.product) AS product
		FROM jsonb_to_recordset(items) AS r (id text, quantity integer, price jsonb)
		LEFT JOIN stripe.prices AS k ON k.id = r.price #>> '{}'
	) AS i
	LEFT JOIN stripe.products AS k ON k.id = i.product
	LEFT JOIN seats.products AS p ON p.organization_id = organization AND p.external_id = i.product
	WHERE k.metadata ->> 'seats' IS DISTINCT FROM 'no';
END;
COMMENT ON FUNCTION seats_stripe.count_seats(uuid, jsonb) IS
'How many seats items are, and of which product; items without a quantity (metered) are none, and those of products whose metadata has seats = no are left out';

-- A schedule counts if the subscription says that it has it, or if the schedule is the newer of the two. Its current phase
-- is still the next one while the subscription is as it was before that began.
CREATE VIEW seats_stripe.wanted AS
SELECT m.id, s.organization_id,
	CASE WHEN i.products = 1 THEN i.product_id END AS product_id,
	c.id AS customer_id,
	CASE WHEN b.deleted THEN 'canceled' ELSE m.status::text END AS status,
	CASE WHEN m.last_synced_at <= k.told_at THEN k.quantity WHEN i.products < 2 AND i.waits_for IS NULL THEN i.seats END AS seats,
	CASE WHEN n.waits_for IS NULL THEN n.seats END AS seats_next,
	i.item, i.other_seats,
	coalesce('customer ' || CASE WHEN c.id IS NULL THEN m.customer END, i.waits_for, n.waits_for) AS waits_for,
	CASE WHEN i.products > 1 AND i.waits_for IS NULL THEN 'it has seats of several products' END AS problem
FROM seats_stripe.settings AS s
CROSS JOIN stripe.subscriptions AS m
LEFT JOIN stripe.customers AS b ON b.id = m.customer
LEFT JOIN seats.customers AS c ON c.organization_id = s.organization_id AND c.external_id = seats_stripe.external_id(b)
LEFT JOIN seats_stripe.quantities AS k ON k.id = m.id
CROSS JOIN LATERAL seats_stripe.count_seats(s.organization_id, m.items -> 'data') AS i
LEFT JOIN LATERAL (
	SELECT phase -> 'items' AS items
	FROM stripe.subscription_schedules AS h, jsonb_array_elements(h.phases) AS phase
	WHERE h.subscription = m.id AND h.status = 'active' AND (h.id = m.schedule OR h.last_synced_at > m.last_synced_at)
		AND (phase ->> 'start_date')::bigint >= (h.current_phase ->>
			CASE WHEN to_timestamp((h.current_phase ->> 'start_date')::bigint) > m.last_synced_at THEN 'start_date' ELSE 'end_date' END)::bigint
	ORDER BY (phase ->> 'start_date')::bigint LIMIT 1
) AS next ON true
LEFT JOIN LATERAL seats_stripe.count_seats(s.organization_id, next.items) AS n ON next.items IS NOT NULL;
COMMENT ON VIEW seats_stripe.wanted IS 'Stripe''s subscriptions as those of seats: what their columns should be, null if that is not known yet';

CREATE FUNCTION seats_stripe.apply_product(product text)
RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	INSERT INTO seats.products (organization_id, external_id, name)
	SELECT s.organization_id, m.id, m.name FROM stripe.products AS m, seats_stripe.settings AS s WHERE m.id = product
	ON CONFLICT ON CONSTRAINT products_external_id_key DO UPDATE SET name = excluded.name
	WHERE products.name <> excluded.name;
END;
COMMENT ON FUNCTION seats_stripe.apply_product(text) IS 'Makes a product in seats what it is in Stripe';

-- The application keeps the names and addresses of customers that have its own ids, and Stripe those of the others.
CREATE FUNCTION seats_stripe.apply_customer(customer text, OUT waits_for text, OUT problem text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	m stripe.customers;
	organization uuid := (SELECT organization_id FROM seats_stripe.settings);
	theirs text;
BEGIN
	SELECT * INTO m FROM stripe.customers WHERE id = customer;
	theirs := seats_stripe.external_id(m);
	IF theirs IS NULL THEN
		RETURN;
	END IF;
	-- The metadata got the application's id after the customer came here.
	UPDATE seats.customers SET external_id = theirs
	WHERE organization_id = organization AND external_id = m.id AND theirs <> m.id
		AND NOT EXISTS (SELECT FROM seats.customers WHERE organization_id = organization AND external_id = theirs);
	INSERT INTO seats.customers (organization_id, external_id, name) VALUES (organization, theirs, m.name)
	ON CONFLICT ON CONSTRAINT customers_external_id_key DO NOTHING;
	IF theirs <> m.id OR m.deleted THEN
		RETURN;
	END IF;
	UPDATE seats.customers SET name = m.name
	WHERE organization_id = organization AND external_id = theirs AND name IS DISTINCT FROM m.name;
	-- Without the address the customer can pay all the same.
	BEGIN
		UPDATE seats.customers SET email = m.email
		WHERE organization_id = organization AND external_id = theirs AND email IS DISTINCT FROM m.email;
	EXCEPTION
		WHEN unique_violation THEN
			waits_for := 'address';
			problem := 'another customer has its address';
		WHEN check_violation THEN
			problem := 'its address is not one that seats takes';
	END;
END
$$;
COMMENT ON FUNCTION seats_stripe.apply_customer(text) IS
'Makes a customer in seats what it is in Stripe; one that is deleted in Stripe is left as it is';

CREATE FUNCTION seats_stripe.apply_subscription(subscription text, OUT waits_for text, OUT problem text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	w seats_stripe.wanted;
	s seats.subscriptions;
	agreed integer := (SELECT quantity FROM seats_stripe.quantities WHERE id = subscription);
	is_over boolean;
	is_surplus boolean;
	number integer;
	next integer;
BEGIN
	SELECT * INTO w FROM seats_stripe.wanted WHERE id = subscription;
	waits_for := w.waits_for;
	problem := w.problem;
	INSERT INTO seats.subscriptions (organization_id, external_id, product_id, customer_id, seats, status)
	SELECT w.organization_id, w.id, w.product_id, w.customer_id, w.seats, w.status
	WHERE w.product_id IS NOT NULL AND w.customer_id IS NOT NULL AND w.seats IS NOT NULL
	ON CONFLICT ON CONSTRAINT subscriptions_external_id_key DO NOTHING;
	SELECT * INTO s FROM seats.subscriptions
	WHERE organization_id = w.organization_id AND external_id = w.id FOR NO KEY UPDATE;
	IF NOT FOUND THEN
		RETURN;
	END IF;

	is_over := w.status IN ('canceled', 'incomplete_expired');
	number := coalesce(w.seats, s.seats);
	-- Nobody has lowered it at Stripe: what there is beyond Stripe's number has grown here, and Stripe will be told.
	IF number >= agreed AND s.seats_limit IS NOT NULL THEN
		number := greatest(number, s.seats);
	END IF;
	is_surplus := number < s.assigned_seats AND NOT is_over;
	IF is_surplus AND (SELECT surplus = 'revoke' FROM seats_stripe.settings) THEN
		PERFORM seats.set_seats(s.id, seats => number, surplus => 'revoke');
		is_surplus := false;
		s.assigned_seats := number;
	ELSIF is_surplus THEN
		problem := format('%s seats are assigned, and %s paid for', s.assigned_seats, number);
		number := s.assigned_seats;
	END IF;
	-- As few as there can be, so that no more are assigned.
	next := nullif(CASE WHEN NOT is_over THEN w.seats_next END, number);
	IF next < s.assigned_seats THEN
		problem := coalesce(problem, format('%s seats are assigned, and %s will be paid for', s.assigned_seats, next));
		next := s.assigned_seats;
	END IF;
	-- Nor does it grow while it has a surplus.
	IF is_surplus THEN
		next := coalesce(next, number);
	END IF;

	UPDATE seats.subscriptions AS p
	SET product_id = n.product_id, customer_id = n.customer_id, seats = n.seats, seats_next = n.seats_next, status = n.status
	FROM (SELECT coalesce(w.product_id, s.product_id), coalesce(w.customer_id, s.customer_id), number, next, w.status)
		AS n (product_id, customer_id, seats, seats_next, status)
	WHERE p.id = s.id
		AND (p.product_id, p.customer_id, p.seats, p.seats_next, p.status) IS DISTINCT FROM
			(n.product_id, n.customer_id, n.seats, n.seats_next, n.status);
	IF w.seats IS NOT NULL AND NOT is_surplus THEN
		INSERT INTO seats_stripe.quantities (id, quantity) VALUES (w.id, w.seats)
		ON CONFLICT (id) DO UPDATE SET quantity = excluded.quantity WHERE quantities.quantity <> excluded.quantity;
	END IF;
END
$$;
COMMENT ON FUNCTION seats_stripe.apply_subscription(text) IS
'Makes a subscription in seats what seats_stripe.wanted says; returns what is missing and what is in the way';

CREATE FUNCTION seats_stripe.take_turn()
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM FROM seats_stripe.settings FOR UPDATE;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION seats_stripe.take_turn() IS
'Waits until no other session carries anything over, and keeps others waiting until the end of the transaction; false without settings';

-- Whatever goes wrong is kept, so that Stripe's tables get their row all the same.
CREATE FUNCTION seats_stripe.apply(kind text, id text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	missing text;
	trouble text;
BEGIN
	IF NOT seats_stripe.take_turn() THEN
		RETURN;
	END IF;
	BEGIN
		CASE kind
			WHEN 'product' THEN PERFORM seats_stripe.apply_product(id);
			WHEN 'price' THEN NULL;  -- only what waits for it
			WHEN 'customer' THEN SELECT * INTO missing, trouble FROM seats_stripe.apply_customer(id);
			WHEN 'subscription' THEN SELECT * INTO missing, trouble FROM seats_stripe.apply_subscription(id);
		END CASE;
	EXCEPTION WHEN OTHERS THEN
		trouble := format('%s: %s', SQLSTATE, SQLERRM);
	END;

	IF missing IS NULL AND trouble IS NULL THEN
		DELETE FROM seats_stripe.kept AS k WHERE k.kind = apply.kind AND k.id = apply.id;
	ELSE
		INSERT INTO seats_stripe.kept (kind, id, waits_for, problem) VALUES (kind, id, missing, trouble)
		ON CONFLICT ON CONSTRAINT kept_pkey DO UPDATE SET waits_for = excluded.waits_for, problem = excluded.problem;
	END IF;
	PERFORM seats_stripe.apply(k.kind, k.id) FROM seats_stripe.kept AS k
	WHERE k.waits_for = apply.kind || ' ' || apply.id
		-- A customer that is in order may have given up the address that another one has.
		OR k.waits_for = 'address' AND apply.kind = 'customer' AND missing IS NULL;
END
$$;
COMMENT ON FUNCTION seats_stripe.apply(text, text) IS
'Carries over one of Stripe''s objects as it is now, and what waited for it; what fails is kept';

CREATE FUNCTION seats_stripe.retry()
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT seats_stripe.take_turn();
	SELECT seats_stripe.apply(kind, id) FROM seats_stripe.kept ORDER BY since;
	SELECT count(*) FROM seats_stripe.kept;
END;
COMMENT ON FUNCTION seats_stripe.retry() IS 'Tries everything that is kept again; returns how many objects are left';

CREATE FUNCTION seats_stripe.apply_all()
RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
	SELECT seats_stripe.take_turn();
	SELECT seats_stripe.apply('product', id) FROM stripe.products;
	SELECT seats_stripe.apply('customer', id) FROM stripe.customers;
	SELECT seats_stripe.apply('subscription', id) FROM stripe.subscriptions;
	SELECT count(*) FROM seats_stripe.kept;
END;
COMMENT ON FUNCTION seats_stripe.apply_all() IS 'Carries over everything that Stripe''s tables have; returns how much is kept';

-- The lock comes before any row is locked, so two sessions cannot deadlock.
CREATE FUNCTION seats_stripe.wait_for_turn()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_stripe.take_turn();
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION seats_stripe.wait_for_turn() IS 'Trigger on Stripe''s tables: statements that write them run one after the other';

CREATE FUNCTION seats_stripe.follow()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_stripe.apply(TG_ARGV[0], NEW.id);
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION seats_stripe.follow() IS 'Trigger on Stripe''s tables: carries the row over';

CREATE FUNCTION seats_stripe.follow_schedule()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_stripe.apply('subscription', id) FROM unnest(ARRAY[NEW.subscription, OLD.subscription]) AS id WHERE id IS NOT NULL;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION seats_stripe.follow_schedule() IS 'Trigger on schedules: carries their subscriptions over';

CREATE FUNCTION seats_stripe.follow_subscriptions()
RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_stripe.apply('subscription', id) FROM stripe.subscriptions
	WHERE customer = NEW.id
		OR jsonb_path_exists(items, '$.data[*].price.product ? (@ == $id)', jsonb_build_object('id', NEW.id))
		OR id IN (
			SELECT h.subscription FROM stripe.subscription_schedules AS h JOIN stripe.prices AS k ON k.product = NEW.id
			WHERE jsonb_path_exists(h.phases, '$[*].items[*].price ? (@ == $id)', jsonb_build_object('id', k.id)));
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION seats_stripe.follow_subscriptions() IS 'Trigger on products and customers: carries their subscriptions over';

CREATE TRIGGER seats_wait_for_turn BEFORE INSERT OR UPDATE ON stripe.products
	FOR EACH STATEMENT EXECUTE FUNCTION seats_stripe.wait_for_turn();
CREATE TRIGGER seats_wait_for_turn BEFORE INSERT OR UPDATE ON stripe.prices
	FOR EACH STATEMENT EXECUTE FUNCTION seats_stripe.wait_for_turn();
CREATE TRIGGER seats_wait_for_turn BEFORE INSERT OR UPDATE ON stripe.customers
	FOR EACH STATEMENT EXECUTE FUNCTION seats_stripe.wait_for_turn();
CREATE TRIGGER seats_wait_for_turn BEFORE INSERT OR UPDATE ON stripe.subscriptions
	FOR EACH STATEMENT EXECUTE FUNCTION seats_stripe.wait_for_turn();
CREATE TRIGGER seats_wait_for_turn BEFORE INSERT OR UPDATE ON stripe.subscription_schedules
	FOR EACH STATEMENT EXECUTE FUNCTION seats_stripe.wait_for_turn();

CREATE TRIGGER seats_follow AFTER INSERT OR UPDATE ON stripe.products
	FOR EACH ROW EXECUTE FUNCTION seats_stripe.follow('product');
CREATE TRIGGER seats_follow AFTER INSERT OR UPDATE ON stripe.prices
	FOR EACH ROW EXECUTE FUNCTION seats_stripe.follow('price');
CREATE TRIGGER seats_follow AFTER INSERT OR UPDATE ON stripe.customers
	FOR EACH ROW EXECUTE FUNCTION seats_stripe.follow('customer');
CREATE TRIGGER seats_follow AFTER INSERT OR UPDATE ON stripe.subscriptions
	FOR EACH ROW EXECUTE FUNCTION seats_stripe.follow('subscription');
CREATE TRIGGER seats_follow AFTER INSERT OR UPDATE ON stripe.subscription_schedules
	FOR EACH ROW EXECUTE FUNCTION seats_stripe.follow_schedule();

-- What a product or customer can change in subscriptions that are there already.
CREATE TRIGGER seats_follow_subscriptions AFTER UPDATE ON stripe.products
	FOR EACH ROW WHEN (OLD.metadata ->> 'seats' IS DISTINCT FROM NEW.metadata ->> 'seats')
	EXECUTE FUNCTION seats_stripe.follow_subscriptions();
CREATE TRIGGER seats_follow_subscriptions AFTER UPDATE ON stripe.customers
	FOR EACH ROW WHEN (OLD.deleted <> NEW.deleted
		OR OLD.metadata ->> 'external_id' IS DISTINCT FROM NEW.metadata ->> 'external_id')
	EXECUTE FUNCTION seats_stripe.follow_subscriptions();

-- The way back: what examples/worker tells Stripe.

-- OFFSET 0 makes PostgreSQL look for those that have grown first, and count the seats of their items alone.
CREATE VIEW seats_stripe.outstanding AS
SELECT s.id AS subscription_id, s.organization_id, w.id, w.item, s.seats - w.other_seats AS quantity, s.seats,
	k.answers, k.refusal
FROM seats.subscriptions AS s
JOIN seats_stripe.quantities AS k ON k.id = s.external_id
CROSS JOIN LATERAL (
	SELECT * FROM seats_stripe.wanted WHERE organization_id = s.organization_id AND id = s.external_id OFFSET 0
) AS w
WHERE s.seats_limit IS NOT NULL AND s.seats > k.quantity AND w.seats = k.quantity AND w.item IS NOT NULL
	AND w.status NOT IN ('canceled', 'incomplete_expired');
COMMENT ON VIEW seats_stripe.outstanding IS 'Subscriptions that have grown up to their seats_limit, and what Stripe must be told: the quantity of an item';

CREATE VIEW seats_stripe.stuck AS
SELECT kind, id, coalesce(problem, 'it waits for ' || waits_for) AS reason, since FROM seats_stripe.kept
UNION ALL
SELECT 'quantity', id, format('Stripe refused %s seats: %s', seats, refusal), NULL FROM seats_stripe.outstanding
WHERE refusal IS NOT NULL;
COMMENT ON VIEW seats_stripe.stuck IS 'What is not carried over, and why';

CREATE FUNCTION seats_stripe.told(subscription text, seats integer, confirmed_at timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_stripe.take_turn();
	UPDATE seats_stripe.quantities SET quantity = seats, told_at = confirmed_at, answers = answers + 1, refusal = NULL
	WHERE id = subscription;
	PERFORM seats_stripe.apply('subscription', subscription);
END
$$;
COMMENT ON FUNCTION seats_stripe.told(text, integer, timestamptz) IS
'Records that Stripe has a number of seats; webhooks from before that do not lower it';

CREATE FUNCTION seats_stripe.refused(subscription text, reason text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM seats_stripe.take_turn();
	UPDATE seats_stripe.quantities SET answers = answers + 1, refusal = reason WHERE id = subscription;
END
$$;
COMMENT ON FUNCTION seats_stripe.refused(text, text) IS
'Records that Stripe did not take a number of seats, and why; null if it only repeated an earlier answer';

-- The views call two functions with the rights of whoever reads them, who needs USAGE on the schema for that.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA seats_stripe FROM PUBLIC;
GRANT EXECUTE ON FUNCTION seats_stripe.external_id, seats_stripe.count_seats TO PUBLIC;
