-- The cost of a statement that does nothing.
SELECT 1
