SELECT sum(purchased), sum(pending), sum(expired), sum(claimed), sum(free) FROM seats.usage
