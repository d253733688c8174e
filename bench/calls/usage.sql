SELECT * FROM seats.usage WHERE subscription_id = :subscription
