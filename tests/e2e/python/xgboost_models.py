"""Trains XGBoost on made-up transactions, and writes down what it says: what our own evaluation of its models is compared with.

    python xgboost_models.py FOLDER                 models as teams train them, and models that are refused
    python xgboost_models.py FOLDER --fixture       one small model: shared/domain/tests/trees/xgboost-N.json and its rows

A model NAME is two files:
    NAME.json        what Booster.save_model writes
    NAME.rows.jsonl  a row a line: its values (null: missing), XGBoost's margin, and XGBoost's contributions by Saabas's method,
                     the last of which is the expectation
Numbers are written with the fewest digits that tell them apart in single precision.
"""

import argparse
import json
import pathlib

import numpy
import xgboost

NAMES = ["amount", "hour", "new_device", "count_1h", "distance_km", "ratio", "card_age_days", "constant"]
MISSING_SHARES = [0.05, 0.0, 0.3, 0.0, 0.5, 0.1, 0.02, 0.0]


def transactions(random, rows):
    """Values with whole numbers among them, so that many equal a threshold, and with a wide range of sizes."""
    values = numpy.column_stack(
        [
            random.lognormal(4.0, 1.2, rows),
            random.integers(0, 24, rows),
            random.integers(0, 2, rows),
            random.poisson(1.5, rows),
            random.exponential(80.0, rows) - 20.0,
            10.0 ** random.uniform(-20.0, 20.0, rows),
            random.uniform(0.0, 3000.0, rows),
            numpy.ones(rows),
        ]
    ).astype(numpy.float32)
    log_odds = -2.5 + 0.8 * (values[:, 0] > 150.0) + 0.5 * values[:, 2] + 0.4 * values[:, 3] + 0.01 * values[:, 4]
    log_odds += 0.05 * numpy.log10(values[:, 5]) - 0.6 * (values[:, 6] > 700.0) + 0.3 * (values[:, 1] < 6.0)
    labels = (random.uniform(size=rows) < 1.0 / (1.0 + numpy.exp(-log_odds))).astype(numpy.float32)
    values[random.uniform(size=values.shape) < numpy.array(MISSING_SHARES)] = numpy.nan
    return values, labels


def at_thresholds(random, values, model):
    """The values, a tenth of which are moved onto a threshold of the model, or next to one."""
    thresholds = {feature: [] for feature in range(len(NAMES))}
    for tree in model["learner"]["gradient_booster"]["model"]["trees"]:
        for left, feature, threshold in zip(tree["left_children"], tree["split_indices"], tree["split_conditions"]):
            if left != -1:
                thresholds[feature].append(numpy.float32(threshold))
    values = values.copy()
    for feature, known in thresholds.items():
        for row in numpy.flatnonzero(random.uniform(size=len(values)) < 0.1):
            if known:
                threshold = known[random.integers(len(known))]
                away = [-numpy.inf, threshold, numpy.inf][random.integers(3)]
                values[row, feature] = numpy.nextafter(threshold, numpy.float32(away), dtype=numpy.float32)
    return values


def number(value):
    return None if numpy.isnan(value) else float(str(numpy.float32(value)))


def write(folder, name, booster, random, rows):
    path = folder / f"{name}.json"
    booster.save_model(path)
    # What is compared is what the file says: the model in memory has predictions from its training at hand.
    saved = xgboost.Booster(model_file=path)
    values, _ = transactions(random, rows)
    values = at_thresholds(random, values, json.loads(path.read_text()))
    matrix = xgboost.DMatrix(values, feature_names=NAMES)
    margins = saved.predict(matrix, output_margin=True)
    contributions = saved.predict(matrix, pred_contribs=True, approx_contribs=True)
    with open(folder / f"{name}.rows.jsonl", "w", encoding="utf-8") as file:
        for row, margin, parts in zip(values, margins, contributions):
            line = {
                "values": [number(value) for value in row],
                "margin": number(margin),
                "contributions": [number(part) for part in parts],
            }
            file.write(json.dumps(line) + "\n")


def write_refused(folder, random):
    """Models of XGBoost's that are not evaluated here; each is called what it is refused for."""
    values, labels = transactions(random, 400)
    named = xgboost.DMatrix(values, labels, feature_names=NAMES)
    plain = {"max_depth": 2, "nthread": 1, "objective": "binary:logistic"}

    def save(name, parameters, matrix):
        xgboost.train({**plain, **parameters}, matrix, 3).save_model(folder / f"{name}.json")

    save("booster-dart", {"booster": "dart"}, named)
    save("booster-gblinear", {"booster": "gblinear", "max_depth": None}, named)
    save("objective-squarederror", {"objective": "reg:squarederror"}, named)
    save("objective-logitraw", {"objective": "binary:logitraw"}, named)
    save("names", {}, xgboost.DMatrix(values, labels))
    hours = xgboost.DMatrix(values, values[:, 1] // 8, feature_names=NAMES)
    save("classes", {"objective": "multi:softprob", "num_class": 3}, hours)
    both = xgboost.DMatrix(values, numpy.column_stack([labels, 1.0 - labels]), feature_names=NAMES)
    save("targets", {}, both)
    save("targets-vector", {"multi_strategy": "multi_output_tree", "tree_method": "hist"}, both)
    types = ["q", "c", "q", "q", "q", "q", "q", "q"]
    by_category = xgboost.DMatrix(values, values[:, 1] % 2, feature_names=NAMES, feature_types=types, enable_categorical=True)
    save("categories", {"tree_method": "hist"}, by_category)
    save("depth", {"max_depth": 20, "min_child_weight": 0.0, "lambda": 0.0, "eta": 1.0}, deep())
    xgboost.train(plain, named, 3).save_model(folder / "binary.ubj")


def deep():
    """Labels that alternate, so that a tree needs a split for each row."""
    values = numpy.zeros((24, len(NAMES)), dtype=numpy.float32)
    values[:, 0] = 2.0 ** numpy.arange(24)
    weights = 4.0 ** numpy.arange(24)
    return xgboost.DMatrix(values, numpy.arange(24) % 2, weight=weights, feature_names=NAMES)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--fixture", action="store_true")
    arguments = parser.parse_args()
    random = numpy.random.default_rng(20_180_402)
    values, labels = transactions(random, 20_000)
    training = xgboost.DMatrix(values, labels, feature_names=NAMES)
    common = {"objective": "binary:logistic", "nthread": 1, "seed": 1}

    def train(rounds, **parameters):
        return xgboost.train({**common, **parameters}, training, rounds)

    if arguments.fixture:
        major = xgboost.__version__.split(".")[0]
        write(arguments.folder, f"xgboost-{major}", train(8, max_depth=3, eta=0.4), random, 60)
        return
    write(arguments.folder, "hist", train(100, max_depth=6, eta=0.1, tree_method="hist"), random, 2_000)
    # Pruning leaves deleted nodes in the file.
    write(arguments.folder, "pruned", train(30, max_depth=6, gamma=8.0, tree_method="exact"), random, 2_000)
    forest = train(2, max_depth=5, num_parallel_tree=10, subsample=0.7, colsample_bynode=0.6, base_score=0.01)
    write(arguments.folder, "forest", forest, random, 2_000)
    lopsided = train(60, max_leaves=40, max_depth=14, grow_policy="lossguide", tree_method="hist", scale_pos_weight=9.0)
    write(arguments.folder, "lossguide", lopsided, random, 2_000)
    refused = arguments.folder / "refused"
    refused.mkdir()
    write_refused(refused, random)
    print(json.dumps({"xgboost": xgboost.__version__}))


if __name__ == "__main__":
    main()
