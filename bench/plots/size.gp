# What a call costs against the number of seats.
width = 900; height = 420
load bench.'/plots/common.gp'
set datafile separator '\t'
stats data using 2 nooutput
calls = STATS_blocks
set multiplot layout 1,2
set logscale xy
set format x '%.0s%c'
set xlabel 'seats'
set key outside bottom center horizontal
set title 'thousands of instructions'
plot for [i = 0:calls - 1] data index i using 1:2 with linespoints linewidth 2 title columnheader(1)
set title 'buffers'
plot for [i = 0:calls - 1] data index i using 1:3 with linespoints linewidth 2 title columnheader(1)
unset multiplot
