-- The cost of a statement that does nothing but raise an error.
SELECT 1 / :zero::integer
