-- A small product as it is before it has seats: docs/adopting.md brings seats into it, and a test runs that page on it.
-- Teams pay by the seat, but nothing counts.

CREATE SCHEMA app;

CREATE TABLE app.users (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	email text NOT NULL UNIQUE,
	name text NOT NULL
);
CREATE TABLE app.plans (
	id text PRIMARY KEY,
	name text NOT NULL
);
CREATE TABLE app.teams (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL,
	plan_id text NOT NULL REFERENCES app.plans,
	owner_id bigint NOT NULL REFERENCES app.users,
	paid_seats integer NOT NULL
);
CREATE TABLE app.members (
	team_id bigint REFERENCES app.teams,
	user_id bigint REFERENCES app.users,
	joined_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (team_id, user_id)
);

-- What is for members only: a team's documents, and the templates of a plan.
CREATE TABLE app.documents (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	team_id bigint NOT NULL REFERENCES app.teams,
	title text NOT NULL
);
CREATE INDEX ON app.documents (team_id);
CREATE TABLE app.templates (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	plan_id text NOT NULL REFERENCES app.plans,
	title text NOT NULL
);
CREATE INDEX ON app.templates (plan_id);

INSERT INTO app.users (email, name) VALUES
	('ada@globex.example', 'Ada'), ('grace@globex.example', 'Grace'), ('alan@globex.example', 'Alan'),
	('barbara@initech.example', 'Barbara'), ('edsger@initech.example', 'Edsger'), ('niklaus@initech.example', 'Niklaus'),
	('donald@example.com', 'Donald');
INSERT INTO app.plans VALUES ('pro', 'Planner Pro'), ('lite', 'Planner Lite');
-- Initech has more members than it pays for, and Donald is nobody's member.
INSERT INTO app.teams (name, plan_id, owner_id, paid_seats) VALUES ('Globex', 'pro', 1, 5), ('Initech', 'lite', 4, 2);
INSERT INTO app.members VALUES
	(1, 1, '2026-01-05 09:00+00'), (1, 2, '2026-01-06 10:30+00'), (1, 3, '2026-02-01 08:15+00'),
	(2, 4, '2026-03-01 12:00+00'), (2, 5, '2026-03-01 12:05+00'), (2, 6, '2026-04-20 16:40+00');
INSERT INTO app.documents (team_id, title) SELECT 1 + n % 2, 'Document ' || n FROM generate_series(1, 10) AS n;
INSERT INTO app.templates (plan_id, title) SELECT CASE n % 5 WHEN 0 THEN 'pro' ELSE 'lite' END, 'Template ' || n FROM generate_series(1, 10) AS n;
