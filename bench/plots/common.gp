# What the plots have in common: a size that fits a page, a plain look, no colour that means
# anything alone.
set terminal svg noenhanced size width,height font 'sans-serif,12' background 'white'
set border 3 linecolor rgb '#555555'
set tics nomirror
set grid ytics linecolor rgb '#dddddd'
