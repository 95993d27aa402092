from veriscale.stages.measurements import choose_ratio


def test_the_lowest_calm_ratio_of_those_that_look_alike():
    found = {1.0: (2.60, 1.00), 0.97: (2.31, 1.05), 0.95: (2.30, 1.10), 0.93: (2.32, 1.40), 0.91: (2.9, 2.0)}
    assert choose_ratio(found) == 0.95


def test_the_calmest_where_none_is_calm():
    found = {1.0: (2.60, 1.2), 0.97: (2.31, 1.5), 0.95: (2.30, 1.9)}
    assert choose_ratio(found) == 0.97


def test_what_looks_worse_is_not_taken_for_being_calm():
    assert choose_ratio({1.0: (3.0, 1.0), 0.95: (2.3, 1.1)}) == 0.95
