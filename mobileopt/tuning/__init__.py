"""The search for the fastest variant with few measurements: pure, from samples to decisions.

    race = Race(candidates, Rules(threshold=0.03))
    while ask := race.ask():
        race = race.after(measured(ask))
    race.result().best

`candidates` says what may take part, `evidence` what the samples tell of two candidates, `race`
whom to measure next and when to end, `recording` keeps a race's samples and replays them.
"""
