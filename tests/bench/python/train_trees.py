"""Trains XGBoost on the rows that `tidemark export` wrote as CSV, and saves a model that `tidemark model import` reads.

    python train_trees.py rows.csv model.json [--features a,b,c]

Each column after `fraud` is a feature, under its own name; an empty field is a missing value. The constraints say which way a
feature may push the odds, so that a reason is never the opposite of what its words say. What is set here was chosen on the three
weeks that choices are made by (docs/reference/detection.md).
"""

import argparse
import csv
import pathlib

import numpy
import xgboost

TREES = 100
LEAVES = 7
PARAMETERS = {
    "objective": "binary:logistic",
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_leaves": LEAVES,
    "max_depth": 6,
    "eta": 0.1,
    "min_child_weight": 5.0,
    "lambda": 10.0,
    # Fraud lies in the tails: fewer bins can't tell its values apart from usual ones.
    "max_bin": 4096,
    "seed": 1,
    "nthread": 1,
}
# How a feature may push the odds of fraud: up with its value, down with it, or either way.
UP = ["amount_population", "amount_median_ratio", "max_ratio", "amount_before_ratio", "fraud_run", "frauds", "share_declined"]
DOWN = ["since_fraud", "since_last"]


def direction(name):
    of, _, kind = name.rpartition(".")
    if of == "surprise":
        return 1
    is_of = lambda kinds: any(kind == one or kind.startswith(one + "_") and kind[len(one) + 1 :][:1].isdigit() for one in kinds)
    return 1 if is_of(UP) else -1 if is_of(DOWN) else 0


def read(path, wanted):
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = next(rows)
        label = header.index("fraud")
        names = wanted or header[label + 1 :]
        places = [header.index(name) for name in names]
        values, labels = [], []
        for row in rows:
            values.append([float(row[place]) if row[place] else numpy.nan for place in places])
            labels.append(float(row[label]))
    return names, numpy.array(values, dtype=numpy.float32), numpy.array(labels, dtype=numpy.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--features", type=lambda text: text.split(","))
    arguments = parser.parse_args()
    names, values, labels = read(arguments.rows, arguments.features)
    matrix = xgboost.DMatrix(values, labels, feature_names=names)
    constraints = tuple(direction(name) for name in names)
    parameters = {**PARAMETERS, "monotone_constraints": constraints, "base_score": float(labels.mean())}
    xgboost.train(parameters, matrix, TREES).save_model(arguments.model)


if __name__ == "__main__":
    main()
