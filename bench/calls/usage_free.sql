SELECT sum(purchased), sum(free) FROM seats.usage
