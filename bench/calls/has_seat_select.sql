-- What has_seat() answers, as a statement.
SELECT EXISTS (
	SELECT FROM seats.customer_seats AS s
	WHERE s.customer_id = :customer::uuid AND s.status = 'claimed' AND s.suspended_at IS NULL
		AND (EXISTS (SELECT FROM seats.subscriptions AS p WHERE p.id = s.subscription_id AND p.product_id = :product::uuid)
			OR EXISTS (SELECT FROM seats.orders AS p WHERE p.id = s.order_id AND p.product_id = :product::uuid)))
