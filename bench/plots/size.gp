# Cost against the size of tables, in relation to the smallest; the broken line is the bound.
width = 900; height = 360
load bench.'/plots/common.gp'
set datafile separator '\t'
stats data using 2 nooutput
calls = STATS_blocks
set multiplot layout 1,2
set logscale x
set format x '%.0s%c'
set xlabel 'rows of seats and of sessions'
set yrange [0:2]
set key bottom left
set title 'instructions'
plot for [i = 0:calls - 1] data index i using 1:2 with linespoints linewidth 2 title columnheader(1), 1.25 dashtype 2 linecolor 'black' notitle
set title 'buffers'
plot for [i = 0:calls - 1] data index i using 1:3 with linespoints linewidth 2 title columnheader(1), 1.25 dashtype 2 linecolor 'black' notitle
unset multiplot
