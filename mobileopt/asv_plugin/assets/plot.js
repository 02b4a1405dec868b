'use strict';
/* Graphs of a series, in SVG: a large one with bands and marks, and a little one for a table. */
window.mobileopt.plot = (function () {
    const SPACE = 'http://www.w3.org/2000/svg';
    const MARGIN = {top: 26, right: 14, bottom: 30, left: 64};
    const DOTS = 240; /* more results than this are a line without its dots */

    function shape(tag, attributes, ...children) {
        const element = document.createElementNS(SPACE, tag);
        for (const [name, value] of Object.entries(attributes || {})) {
            if (value !== null && value !== undefined) {
                element.setAttribute(name, value);
            }
        }
        element.append(...children);
        return element;
    }

    function path(points) {
        return points.map((each, index) => (index ? 'L' : 'M') + each[0].toFixed(1) + ' ' + each[1].toFixed(1)).join('');
    }

    /* Round figures between two, about `count` of them. */
    function ticks(low, high, count) {
        const rough = (high - low) / count || 1;
        const power = 10 ** Math.floor(Math.log10(rough));
        const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
        const found = [];
        for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) {
            found.push(Math.abs(value) < step / 1e6 ? 0 : value);
        }
        return found;
    }

    /* Without the noise of binary fractions: 0.3, not 0.30000000000000004. */
    function tick(value) {
        return Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3)
            ? value.toExponential(1) : String(Number(value.toPrecision(6)));
    }

    /* The range of the y-axis: what was measured. A rare interval as wide as the sky is cut. */
    function range(series, fromZero) {
        let [low, high] = [Math.min(...series.value), Math.max(...series.value)];
        const room = Math.max(high - low, Math.abs(high) * 0.02, 1e-12);
        const inside = (value) => value !== null && value > low - room && value < high + room;
        const ends = [...series.q25, ...series.q75, ...series.low, ...series.high].filter(inside);
        low = Math.min(low, ...ends);
        high = Math.max(high, ...ends);
        const pad = Math.max(high - low, Math.abs(high) * 0.01, 1e-12) * 0.08;
        return fromZero ? [Math.min(0, low), high + pad] : [low - pad, high + pad];
    }

    function band(series, low, high, x, y, name) {
        const drawn = [];
        let run = [];
        const flush = function () {
            if (run.length) {
                const there = run.map((index) => [x(index), y(series[high][index])]);
                const back = run.map((index) => [x(index), y(series[low][index])]).reverse();
                if (run.length === 1) {
                    there.unshift([there[0][0] - 1, there[0][1]]);
                    back.push([there[0][0], back[0][1]]);
                }
                drawn.push(shape('path', {d: path([...there, ...back]) + 'Z', class: name}));
            }
            run = [];
        };
        series.value.forEach(function (_, index) {
            if (series[low][index] === null || series[high][index] === null) {
                flush();
            } else {
                run.push(index);
            }
        });
        flush();
        return drawn;
    }

    function yAxis(scale, low, high, y, width) {
        return ticks(low, high, 5).flatMap((value) => [
            shape('line', {x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value), class: 'mo-grid'}),
            shape('text', {x: MARGIN.left - 8, y: y(value) + 4, class: 'mo-tick', 'text-anchor': 'end'}, tick(value / scale.by)),
        ]);
    }

    function xAxis(dates, x, width, height) {
        const count = Math.max(2, Math.min(dates.length, Math.floor((width - MARGIN.left) / 120)));
        const step = (dates.length - 1) / (count - 1) || 1;
        const chosen = [...new Set(Array.from({length: count}, (_, at) => Math.min(dates.length - 1, Math.round(at * step))))];
        return chosen.map((index) => shape('text', {
            x: x(index), y: height - 8, class: 'mo-tick',
            'text-anchor': chosen.length === 1 ? 'middle' : index === 0 ? 'start' : index === dates.length - 1 ? 'end' : 'middle',
        }, mobileopt.units.day(dates[index])));
    }

    /* The level between two changes: the median of its results. */
    function levels(series, x, y) {
        const borders = [0, ...series.changes.map((each) => each.at).filter((each) => each !== null), series.value.length];
        return borders.slice(1).flatMap(function (stop, index) {
            const values = series.value.slice(borders[index], stop).sort((a, b) => a - b);
            if (values.length < 2 || borders.length < 3) {
                return [];
            }
            const middle = y((values[Math.floor((values.length - 1) / 2)] + values[Math.ceil((values.length - 1) / 2)]) / 2);
            return [shape('line', {x1: x(borders[index]), x2: x(stop - 1), y1: middle, y2: middle, class: 'mo-level'})];
        });
    }

    function marks(series, x, height) {
        let free = -Infinity;
        return series.changes.filter((each) => each.at !== null).flatMap(function (each) {
            const at = (x(each.at) + x(Math.max(0, each.at - 1))) / 2;
            const drawn = [shape('line', {x1: at, x2: at, y1: MARGIN.top, y2: height - MARGIN.bottom, class: 'mo-mark mo-' + each.direction})];
            const text = mobileopt.units.change(each.size);
            if (at - 4 * text.length > free) {
                free = at + 4 * text.length + 6;
                drawn.push(shape('text', {x: at, y: MARGIN.top - 8, class: 'mo-label mo-' + each.direction, 'text-anchor': 'middle'}, text));
            }
            return drawn;
        });
    }

    function cross(x, y) {
        return shape('path', {d: `M${x - 4} ${y - 4}L${x + 4} ${y + 4}M${x - 4} ${y + 4}L${x + 4} ${y - 4}`, class: 'mo-invalid'});
    }

    function dots(series, x, y, height) {
        /* What was left out does not stretch the axis: beyond it stands at its edge. */
        const within = (value) => Math.max(MARGIN.top + 6, Math.min(height - MARGIN.bottom - 6, y(value)));
        const suspect = new Set(series.doubts.filter((each) => each.verdict === 'suspect').map((each) => each.at));
        const few = series.value.length <= DOTS;
        const drawn = series.value.flatMap(function (value, index) {
            if (suspect.has(index)) {
                return [shape('circle', {cx: x(index), cy: y(value), r: 4, class: 'mo-suspect'})];
            }
            return few ? [shape('circle', {cx: x(index), cy: y(value), r: series.value.length > 80 ? 2 : 3, class: 'mo-result'})] : [];
        });
        const crosses = series.doubts.filter((each) => each.verdict === 'invalid').map((each) =>
            cross(x(each.at), each.value === null ? height - MARGIN.bottom - 6 : within(each.value)));
        return [...drawn, ...crosses];
    }

    /* The large graph. `choose(index)` is called for the result nearest to the pointer; gives
       {element, select(index)}. */
    function large(series, options) {
        const width = options.width;
        const height = options.height;
        const [low, high] = range(series, options.fromZero);
        const scale = mobileopt.units.scale(options.unit, Math.max(Math.abs(high), Math.abs(low)));
        const count = Math.max(1, series.value.length - 1);
        const left = MARGIN.left + 10;
        const x = (index) => series.value.length < 2 ? (left + width - MARGIN.right) / 2
            : left + index / count * (width - left - MARGIN.right - 8);
        const y = (value) => height - MARGIN.bottom - (value - low) / (high - low) * (height - MARGIN.top - MARGIN.bottom);
        const clip = 'mo-clip-' + Math.random().toString(36).slice(2);
        const cursor = shape('g', {class: 'mo-cursor'});
        const inside = shape('g', {'clip-path': 'url(#' + clip + ')'},
            ...band(series, 'low', 'high', x, y, 'mo-interval'),
            ...band(series, 'q25', 'q75', x, y, 'mo-quartiles'),
            shape('path', {d: path(series.value.map((value, index) => [x(index), y(value)])), class: 'mo-curve' + (series.value.length > DOTS ? ' mo-dense' : '')}),
            ...levels(series, x, y));
        const element = shape('svg', {viewBox: `0 0 ${width} ${height}`, width: width, height: height, role: 'img', 'aria-label': options.label, class: 'mo-plot'},
            shape('clipPath', {id: clip}, shape('rect', {x: MARGIN.left, y: MARGIN.top, width: width - MARGIN.left - MARGIN.right + 8, height: height - MARGIN.top - MARGIN.bottom})),
            ...yAxis(scale, low, high, y, width),
            shape('text', {x: MARGIN.left - 8, y: 12, class: 'mo-tick', 'text-anchor': 'end'}, scale.unit),
            ...xAxis(options.dates, x, width, height),
            inside, ...marks(series, x, height), ...dots(series, x, y, height), cursor);
        element.addEventListener('pointermove', function (event) {
            const box = element.getBoundingClientRect();
            const at = (event.clientX - box.left) * width / box.width;
            const index = Math.round((at - left) / (width - left - MARGIN.right - 8) * count);
            options.choose(Math.max(0, Math.min(series.value.length - 1, index)));
        });
        function select(index) {
            cursor.replaceChildren(
                shape('line', {x1: x(index), x2: x(index), y1: MARGIN.top, y2: height - MARGIN.bottom}),
                shape('circle', {cx: x(index), cy: y(series.value[index]), r: 5}));
        }
        return {element: element, select: select};
    }

    /* The results around a change, without axes: its text stands beside it. */
    function little(around, direction) {
        const [width, height] = [132, 34];
        const values = around.values;
        const [low, high] = [Math.min(...values), Math.max(...values)];
        const x = (index) => 3 + index / Math.max(1, values.length - 1) * (width - 6);
        const y = (value) => high === low ? height / 2 : height - 4 - (value - low) / (high - low) * (height - 8);
        const at = (x(around.at) + x(around.at - 1)) / 2;
        const points = values.map((value, index) => [x(index), y(value)]);
        return shape('svg', {viewBox: `0 0 ${width} ${height}`, width: width, height: height, 'aria-hidden': 'true', class: 'mo-little'},
            shape('line', {x1: at, x2: at, y1: 0, y2: height, class: 'mo-mark mo-' + direction}),
            shape('path', {d: path(points.slice(0, around.at)), class: 'mo-curve mo-before'}),
            shape('path', {d: path(points.slice(around.at)), class: 'mo-curve mo-' + direction}));
    }

    return {large: large, little: little};
})();
