# How large tables and indexes get in the course of churn.
width = 700; height = 320
load bench.'/plots/common.gp'
set title 'churn: size in MB'
set xlabel 'tenths of all rounds'
set yrange [0:*]
set key outside right
plot data using 1:2 with linespoints linewidth 2 title 'seats and sessions', \
	data using 1:3 with linespoints linewidth 2 title 'their indexes', \
	data using 1:4 with linespoints linewidth 2 title 'events and their index'
