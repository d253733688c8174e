# What a call costs against the number of seats.
width = 1060; height = 420
load bench.'/plots/common.gp'
set datafile separator '\t'
stats data using 2 nooutput
calls = STATS_blocks
set multiplot
set logscale xy
set format x '%.0s%c'
set xlabel 'seats'
set xrange [500:40e6]
set lmargin at screen 0.08
set rmargin at screen 0.33
set title 'thousands of instructions'
unset key
plot for [i = 0:calls - 1] data index i using 1:2 with linespoints linewidth 2, \
	data using 1:4 with points pointtype 6 pointsize 1.5 linecolor 'black'
set lmargin at screen 0.40
set rmargin at screen 0.66
set key at screen 0.99,0.95 right top
set title 'buffers'
plot for [i = 0:calls - 1] data index i using 1:3 with linespoints linewidth 2 title columnheader(1), \
	data using 1:5 with points pointtype 6 pointsize 1.5 linecolor 'black' title 'in one large subscription'
unset multiplot
