/*
 * client.c
 *		The load client of the benchmark: repeats one call over the protocol, in one or more
 *		connections, and reports its speed.
 *
 * A call is a file of statements, separated by ";".  A name such as ":name" in a statement is a
 * parameter.  Its value is a field of the call's line in the input file, whose first line names the
 * fields; or a column of the first row that an earlier statement of the call returned; or, for
 * :session_hash, 32 random bytes.  Each statement is prepared at its first use in a connection, as
 * drivers do, and is one round trip from then on.  A call fails if a statement raises an error, or
 * returns or changes no row.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define MAX_STATEMENTS 16
#define MAX_VARIABLES 64
#define MAX_CLIENTS 64
#define HASH_LENGTH 32
#define MEMORY_SAMPLES 11

/* A statement as the server receives it, and for each parameter the index of its variable. */
typedef struct Statement
{
	char *sql;
	char name[16];
	int nparameters;
	int parameters[MAX_VARIABLES];
} Statement;

/* The results of one client, in memory that all share. */
typedef struct Report
{
	int backend;
	int failures;
	double start;
	double end;
	long memory_kb[MEMORY_SAMPLES]; /* of its backend, after each tenth of the calls */
} Report;

/* Settings from the command line. */
static int clients = 1;
static int calls = 1;	/* measured, of all clients together */
static int warm_up = 0; /* of each client */
static bool pinned = false;
static bool one_transaction = false;
static bool failing = false;
static bool binary = false;
static const char *preparation = NULL; /* a query that each client runs first */

static Statement statements[MAX_STATEMENTS];
static int nstatements = 0;

static char *variable_names[MAX_VARIABLES];
static char *variables[MAX_VARIABLES]; /* their values in the current call */
static int nvariables = 0;
static int nfields = 0; /* the first ones come from the input */

static char **input = NULL;
static int input_lines = 0;

static pthread_barrier_t *warmed_up;
static Report *reports;
static float *latencies; /* in microseconds */

/* Ends the program with a message. */
static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("client: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(1);
}

/* Returns memory that was allocated; ends the program if there is none. */
static void *
checked(void *memory)
{
	if (memory == NULL)
		fail("out of memory");
	return memory;
}

/* Returns the content of a file as a string. */
static char *
read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	char *content = NULL;
	size_t size = 0;

	if (file == NULL)
		fail("%s: %s", path, strerror(errno));
	if (getdelim(&content, &size, '\0', file) < 0)
		fail("%s is empty", path);
	fclose(file);
	return content;
}

/* Returns the index of a variable; adds the variable if the name is new. */
static int
variable(const char *name, size_t length)
{
	for (int i = 0; i < nvariables; i++)
	{
		if (strlen(variable_names[i]) == length &&
			strncmp(variable_names[i], name, length) == 0)
			return i;
	}
	if (nvariables == MAX_VARIABLES)
		fail("too many variables");
	variable_names[nvariables] = checked(strndup(name, length));
	return nvariables++;
}

/* Returns the number, from 1, of a statement's parameter for a variable. */
static int
parameter(Statement *statement, int place)
{
	for (int i = 0; i < statement->nparameters; i++)
	{
		if (statement->parameters[i] == place)
			return i + 1;
	}
	statement->parameters[statement->nparameters] = place;
	return ++statement->nparameters;
}

/*
 * Returns the length of a string, a comment or a "::" at the start of a text, or 0.  A ";" or ":"
 * in it has no special meaning.
 */
static size_t
opaque_length(const char *text)
{
	const char *end = NULL;

	if (*text == '\'')
		end = strchr(text + 1, '\'');
	else if (strncmp(text, "--", 2) == 0)
		end = strchr(text, '\n');
	else if (strncmp(text, "::", 2) == 0)
		end = text + 1;
	return end == NULL ? 0 : (size_t) (end - text) + 1;
}

/* Reads a statement up to its ";" or the end of the text; returns a pointer to that. */
static const char *
read_statement(const char *text, Statement *statement)
{
	FILE *sql;
	size_t size;

	sql = checked(open_memstream(&statement->sql, &size));
	while (*text != '\0' && *text != ';')
	{
		size_t length = opaque_length(text);

		if (length > 0)
			fwrite(text, 1, length, sql);
		else if (*text == ':' && islower((unsigned char) text[1]))
		{
			length = 1;
			while (islower((unsigned char) text[length]) || text[length] == '_')
				length++;
			fprintf(sql, "$%d", parameter(statement, variable(text + 1, length - 1)));
		}
		else
			fputc(text[length++], sql);
		text += length;
	}
	fclose(sql);
	return text;
}

/* Reads the statements of a call. */
static void
read_call(const char *path)
{
	const char *text = read_file(path);

	while (text[strspn(text, "; \t\n")] != '\0')
	{
		Statement *statement = &statements[nstatements];

		if (nstatements == MAX_STATEMENTS)
			fail("%s has too many statements", path);
		snprintf(statement->name, sizeof(statement->name), "s%d", nstatements++);
		text = read_statement(text + strspn(text, "; \t\n"), statement);
	}
}

/* Reads the input: the names of the fields, and a line for each call. */
static void
read_input(const char *path)
{
	char *rest = read_file(path);
	char *names = strsep(&rest, "\n");
	char *name;
	int room = 0;

	while ((name = strsep(&names, "\t")) != NULL)
		variable(name, strlen(name));
	nfields = nvariables;
	while (rest != NULL && *rest != '\0')
	{
		if (input_lines == room)
			input = checked(
				reallocarray(input, (size_t) (room = 2 * room + 64), sizeof(char *)));
		input[input_lines++] = strsep(&rest, "\n");
	}
}

/* Returns the time in seconds, by a clock that nobody sets. */
static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* Sets a variable to a copy of a value, or to NULL. */
static void
set_variable(int place, const char *value)
{
	free(variables[place]);
	variables[place] = value == NULL ? NULL : checked(strdup(value));
}

/* Draws the random bytes that an application would hash a session token to. */
static void
draw_session_hash(int place)
{
	unsigned char bytes[HASH_LENGTH];
	char text[2 + 2 * HASH_LENGTH + 1] = "\\x";

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		fail("no random bytes");
	for (int i = 0; i < HASH_LENGTH; i++)
		sprintf(text + 2 + 2 * i, "%02x", bytes[i]);
	set_variable(place, text);
}

/* Sets the variables that a call starts with. */
static void
start_call(int line)
{
	char *fields = checked(strdup(input[line]));
	char *rest = fields;

	for (int i = 0; i < nfields; i++)
		set_variable(i, strsep(&rest, "\t"));
	for (int i = nfields; i < nvariables; i++)
	{
		if (strcmp(variable_names[i], "session_hash") == 0)
			draw_session_hash(i);
	}
	free(fields);
}

/* Sets the variables that are named like columns of a result, from its first row. */
static void
keep_row(const PGresult *result)
{
	for (int i = 0; i < nvariables; i++)
	{
		int column = PQfnumber(result, variable_names[i]);

		if (column >= 0)
			set_variable(
				i, PQgetisnull(result, 0, column) ? NULL : PQgetvalue(result, 0, column));
	}
}

/* Executes a statement; prepares it before its first execution in a connection. */
static PGresult *
send_statement(PGconn *connection, const Statement *statement, bool first)
{
	const char *values[MAX_VARIABLES];

	if (first)
	{
		PGresult *result = PQprepare(connection, statement->name, statement->sql, 0, NULL);
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			fail("%s%s", PQresultErrorMessage(result), statement->sql);
		PQclear(result);
	}
	for (int i = 0; i < statement->nparameters; i++)
		values[i] = variables[statement->parameters[i]];
	return PQexecPrepared(connection, statement->name, statement->nparameters, values, NULL,
						  NULL, binary);
}

/*
 * Runs a statement; tells whether it returned or changed a row, or is of a kind that does neither.
 */
static bool
run_statement(PGconn *connection, const Statement *statement, bool first)
{
	PGresult *result = send_statement(connection, statement, first);
	bool done = false;

	switch (PQresultStatus(result))
	{
		case PGRES_COMMAND_OK:
			done = strcmp(PQcmdTuples(result), "0") != 0;
			break;
		case PGRES_TUPLES_OK:
			done = PQntuples(result) > 0;
			if (done)
				keep_row(result);
			break;
		default:
			if (!failing)
				fputs(PQresultErrorMessage(result), stderr);
	}
	PQclear(result);
	return done;
}

/* Runs a statement that must succeed and returns no rows. */
static void
run_command(PGconn *connection, const char *sql)
{
	PGresult *result = PQexec(connection, sql);

	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		fail("%s: %s", sql, PQresultErrorMessage(result));
	PQclear(result);
}

/* Makes a call with a line of the input; tells whether all its statements succeeded. */
static bool
run_call(PGconn *connection, int line)
{
	static int prepared = 0;

	start_call(line);
	for (int i = 0; i < nstatements; i++)
	{
		bool first = i == prepared;

		prepared += first;
		if (!run_statement(connection, &statements[i], first))
		{
			if (!one_transaction && PQtransactionStatus(connection) != PQTRANS_IDLE)
				run_command(connection, "ROLLBACK");
			return false;
		}
	}
	return true;
}

/* Returns the private anonymous memory of a process, in kB. */
static long
private_memory(int pid)
{
	char path[64];
	const char *line;
	char *status;
	long kb;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = read_file(path);
	line = strstr(status, "RssAnon:");
	kb = line == NULL ? 0 : atol(line + strlen("RssAnon:"));
	free(status);
	return kb;
}

/* Pins a client and its backend to one processor, because communication between two takes long. */
static void
pin(int client, int backend)
{
	cpu_set_t processors;

	CPU_ZERO(&processors);
	CPU_SET(client % (int) sysconf(_SC_NPROCESSORS_ONLN), &processors);
	if (sched_setaffinity(0, sizeof(processors), &processors) != 0 ||
		sched_setaffinity(backend, sizeof(processors), &processors) != 0)
		fail("cannot choose a processor: %s", strerror(errno));
}

/*
 * Makes the measured calls of a client.  Each client takes every n-th line of the input, if there
 * are n clients.
 */
static void
run_measured(PGconn *connection, int client)
{
	Report *report = &reports[client];
	int own_calls = calls / clients + (client < calls % clients);
	int sampled = 0;

	report->start = seconds();
	if (one_transaction)
		run_command(connection, "BEGIN");
	for (int i = 0; i < own_calls; i++)
	{
		double start = seconds();

		if (!run_call(connection, (warm_up + i) * clients + client))
			report->failures++;
		latencies[i * clients + client] = (float) ((seconds() - start) * 1e6);
		while ((MEMORY_SAMPLES - 1) * (i + 1) >= (sampled + 1) * own_calls &&
			   sampled < MEMORY_SAMPLES - 1)
			report->memory_kb[++sampled] = private_memory(report->backend);
	}
	if (one_transaction)
		run_command(connection, "COMMIT");
	report->end = seconds();
}

/* Runs the query of option -s, if there is one. */
static void
prepare_session(PGconn *connection)
{
	PGresult *result;

	if (preparation == NULL)
		return;
	result = PQexec(connection, preparation);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fail("%s", PQerrorMessage(connection));
	PQclear(result);
}

/*
 * Runs one client: connects, prepares the session, warms up, waits until all clients have warmed
 * up, and makes the measured calls.
 */
static void
run_client(int client)
{
	PGconn *connection = PQconnectdb("");
	Report *report = &reports[client];

	if (PQstatus(connection) != CONNECTION_OK)
		fail("%s", PQerrorMessage(connection));
	report->backend = PQbackendPID(connection);
	if (pinned)
		pin(client, report->backend);
	prepare_session(connection);
	for (int i = 0; i < warm_up; i++)
		report->failures += !run_call(connection, i * clients + client);
	report->memory_kb[0] = private_memory(report->backend);
	pthread_barrier_wait(warmed_up);
	run_measured(connection, client);
	PQfinish(connection);
}

/* Returns zeroed memory that is shared with the processes forked later. */
static void *
shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? checked(NULL) : memory;
}

/* Creates what the clients share. */
static void
share(void)
{
	pthread_barrierattr_t attributes;

	reports = shared_memory((size_t) clients * sizeof(Report));
	latencies = shared_memory((size_t) (calls + 1) * sizeof(float));
	warmed_up = shared_memory(sizeof(pthread_barrier_t));
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(warmed_up, &attributes, (unsigned int) clients);
}

/* Starts the clients and waits for them; if one fails, ends the others. */
static void
run_clients(void)
{
	pid_t processes[MAX_CLIENTS];
	int status;

	for (int i = 0; i < clients; i++)
	{
		processes[i] = fork();
		if (processes[i] < 0)
			fail("fork: %s", strerror(errno));
		if (processes[i] == 0)
		{
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_client(i);
			exit(0);
		}
	}
	for (int i = 0; i < clients; i++)
	{
		if (wait(&status) > 0 && status == 0)
			continue;
		for (int j = 0; j < clients; j++)
			kill(processes[j], SIGKILL);
		exit(1);
	}
}

/* Compares two latencies, for qsort(). */
static int
compare_latencies(const void *a, const void *b)
{
	float difference = *(const float *) a - *(const float *) b;

	return (difference > 0) - (difference < 0);
}

/* Prints the results, a name and its value on each line; returns how many calls failed. */
static int
print_results(void)
{
	double start = reports[0].start;
	double end = reports[0].end;
	int failures = 0;

	printf("backends\t");
	for (int i = 0; i < clients; i++)
	{
		printf("%s%d", i == 0 ? "" : " ", reports[i].backend);
		failures += reports[i].failures;
		start = reports[i].start < start ? reports[i].start : start;
		end = reports[i].end > end ? reports[i].end : end;
	}
	printf("\nfailures\t%d\nseconds\t%.6f\ntps\t%.1f\n", failures, end - start,
		   calls / (end - start));
	qsort(latencies, (size_t) calls, sizeof(float), compare_latencies);
	printf("p50\t%.1f\np99\t%.1f\n", latencies[calls / 2], latencies[calls * 99L / 100]);
	printf("memory");
	for (int i = 0; i < MEMORY_SAMPLES; i++)
		printf("%c%ld", i == 0 ? '\t' : ' ', reports[0].memory_kb[i]);
	putchar('\n');
	return failures;
}

/* Ends the program with a usage message. */
static void __attribute__((noreturn)) usage(void)
{
	fputs(
		"usage: client [-c CLIENTS] [-w WARM-UP CALLS OF EACH] [-n CALLS OF ALL] [-s SQL] CALL INPUT\n"
		"  -s  a query that each client runs first of all\n"
		"  -p  pin each client and its backend to one processor\n"
		"  -1  one transaction of all calls of a client\n"
		"  -f  each call must fail\n"
		"  -b  results in binary, of which no later statement takes a value\n"
		"The environment says where to connect, as for any libpq program.\n",
		stderr);
	exit(2);
}

/* Reads the command line; returns the index of the first argument that is not an option. */
static int
read_options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "c:w:n:s:p1fb")) != -1)
	{
		switch (option)
		{
			case 'c':
				clients = atoi(optarg);
				break;
			case 'w':
				warm_up = atoi(optarg);
				break;
			case 'n':
				calls = atoi(optarg);
				break;
			case 's':
				preparation = optarg;
				break;
			case 'p':
				pinned = true;
				break;
			case '1':
				one_transaction = true;
				break;
			case 'f':
				failing = true;
				break;
			case 'b':
				binary = true;
				break;
			default:
				usage();
		}
	}
	if (argc - optind != 2 || clients < 1 || clients > MAX_CLIENTS || calls < 0 || warm_up < 0)
		usage();
	return optind;
}

int
main(int argc, char **argv)
{
	int files = read_options(argc, argv);
	int failures;

	read_input(argv[files + 1]);
	read_call(argv[files]);
	if (input_lines < warm_up * clients + calls)
		fail("%s has %d lines, but %d calls are to be made", argv[files + 1], input_lines,
			 warm_up * clients + calls);
	share();
	run_clients();
	failures = print_results();
	return failures == (failing ? calls + warm_up * clients : 0) ? 0 : 1;
}
