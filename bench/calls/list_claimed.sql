-- The claimed seats of a subscription; revoked ones have no customer.
SELECT id, customer_id, customer_email, claimed_at FROM seats.customer_seats
WHERE subscription_id = :subscription AND customer_id IS NOT NULL AND status = 'claimed'
