from cyaron import *
# the flaw: brackets at random are hardly ever a correct sequence
print(String.random(2 * randint(1, {"small": 4, "random": 50, "extreme": 50, "adversarial": 20}[STRATUM]), charset="()"))
