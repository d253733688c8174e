# What a claim costs, by variant: instructions, and claims per second; bars are medians, lines
# go from the least to the most that was measured.
width = 900; height = 340
load bench.'/plots/common.gp'
set multiplot layout 1,3
set style fill solid 0.8 noborder
set boxwidth 0.7
set yrange [0:*]
set xrange [-0.6:4.6]
set xtics rotate by -35
unset key
colour(n) = n == 0 ? 0x2a6f97 : 0xa9b4bd
titles = "'thousands of instructions' 'thousands of claims per second' 'the same, waiting for disk'"
do for [i = 1:3] {
	c = 3 * i - 1
	set title word(titles, i)
	plot data using 0:(column(c)):(colour($0)):xtic(1) with boxes linecolor rgb variable, \
		data using 0:(column(c + 1)):(0):(column(c + 2) - column(c + 1)) \
			with vectors nohead linewidth 2 linecolor rgb '#555555'
}
unset multiplot
