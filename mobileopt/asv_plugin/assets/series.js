'use strict';
/* The page of one series: its history with bands, changes, and results of doubtful validity. */
(function ($) {
    const node = mobileopt.node;
    const units = mobileopt.units;
    const LENGTHS = [0, 500, 200, 50];

    /* ---- Which series ---- */

    function find(data, params) {
        const benchmark = params.benchmark && params.benchmark[0];
        const graphs = data.graphs.filter((each) => !benchmark || each.benchmark === benchmark);
        const fits = (graph) => Object.entries(graph.params).every(([name, value]) =>
            !params[name] || mobileopt.same(params[name][0], value));
        const graph = graphs.find(fits) || graphs[0] || data.graphs[0];
        return graph ? {graph: graph, index: position(graph, params)} : null;
    }

    function axes(graph) {
        const benchmark = $.asv.main_json.benchmarks[graph.benchmark];
        return benchmark.param_names.map((name, index) => ({name: name, values: benchmark.params[index]}));
    }

    /* The combination asked for, or else the first measured one that fits what was asked. */
    function position(graph, params) {
        const places = axes(graph).map((axis) => params['p-' + axis.name] ? axis.values.indexOf(params['p-' + axis.name][0]) : -1);
        if (!places.includes(-1)) {
            return axes(graph).reduce((index, axis, at) => index * axis.values.length + places[at], 0);
        }
        const fits = function (index) {
            const values = choice(graph, index);
            return axes(graph).every((axis, at) => places[at] < 0 || values[axis.name] === axis.values[places[at]]);
        };
        const found = graph.measured.find(fits);
        return found === undefined ? graph.measured[0] : found;
    }

    /* What the address asks for and is not what is shown. */
    function missing(found, params) {
        const shown = {benchmark: found.graph.benchmark, ...found.graph.params};
        for (const [name, value] of Object.entries(choice(found.graph, found.index))) {
            shown['p-' + name] = value;
        }
        return mobileopt.missing(shown, params);
    }

    function choice(graph, index) {
        const all = axes(graph);
        const values = all.slice().reverse().map(function (axis) {
            const value = axis.values[index % axis.values.length];
            index = Math.floor(index / axis.values.length);
            return value;
        }).reverse();
        return Object.fromEntries(all.map((axis, place) => [axis.name, values[place]]));
    }

    /* ---- Choosing another ---- */

    function select(label, options, chosen, change) {
        if (options.length < 2) {
            return null;
        }
        const element = node('select', {onchange: (event) => change(event.target.selectedIndex)},
                             ...options.map((text) => node('option', null, text)));
        element.selectedIndex = chosen;
        return node('label', null, node('span', null, label), element);
    }

    function environment(graph, graphs) {
        const differs = Object.keys(graph.params).filter((name) =>
            name !== 'machine' && graphs.some((each) => each.params.machine === graph.params.machine
                && each.params[name] !== graph.params[name]));
        return [graph.params.machine, ...differs.map((name) => name.replace(/^env-/, '') + ' ' + graph.params[name])].join(', ');
    }

    function controls(data, found) {
        const benchmarks = [...new Set(data.graphs.map((each) => each.benchmark))];
        const graphs = data.graphs.filter((each) => each.benchmark === found.graph.benchmark);
        const chosen = choice(found.graph, found.index);
        const go = (benchmark, params, picked) => {
            window.location.hash = mobileopt.series(benchmark, params, picked);
        };
        return node('div', {class: 'mo-controls mo-filters'},
            select('Metric', benchmarks, benchmarks.indexOf(found.graph.benchmark),
                   (at) => go(benchmarks[at], found.graph.params, chosen)),
            select('Machine', graphs.map((each) => environment(each, graphs)), graphs.indexOf(found.graph),
                   (at) => go(found.graph.benchmark, graphs[at].params, chosen)),
            ...axes(found.graph).map((axis) => select(
                axis.name[0].toUpperCase() + axis.name.slice(1), axis.values.map($.asv.convert_benchmark_param_value).map(String),
                axis.values.indexOf(chosen[axis.name]),
                (at) => go(found.graph.benchmark, found.graph.params, {...chosen, [axis.name]: axis.values[at]}))));
    }

    /* ---- The series as drawn ---- */

    /* The last `length` results, with changes and doubts at positions among them. */
    function last(series, length) {
        const skip = length ? Math.max(0, series.revision.length - length) : 0;
        const cut = {};
        for (const name of ['revision', 'value', 'low', 'high', 'q25', 'q75', 'n']) {
            cut[name] = series[name].slice(skip);
        }
        const place = new Map(cut.revision.map((revision, index) => [revision, index]));
        const at = (each) => ({...each, at: place.has(each.revision) ? place.get(each.revision) : null});
        cut.changes = series.changes.map(at);
        /* An invalid run has no result of its own: it is drawn at the next one, or at the last. */
        const before = skip ? series.revision[skip - 1] : -Infinity;
        cut.doubts = series.doubts.filter((each) => each.revision > before).map(function (each) {
            const next = cut.revision.findIndex((revision) => revision >= each.revision);
            return {...each, at: next < 0 ? cut.revision.length - 1 : next};
        });
        return cut;
    }

    function dates(cut) {
        return cut.revision.map((revision) => $.asv.main_json.revision_to_date[revision]);
    }

    function ends(scale, low, high) {
        return low === null || high === null ? null : scale.figure(low) + '\u2013' + scale.text(high);
    }

    /* What the cursor is on, in words. */
    function readout(place, cut, index, unit) {
        const scale = units.scale(unit, cut.value[index]);
        const revision = cut.revision[index];
        const interval = ends(scale, cut.low[index], cut.high[index]);
        const quartiles = ends(scale, cut.q25[index], cut.q75[index]);
        const doubts = cut.doubts.filter((each) => each.at === index);
        const changes = cut.changes.filter((each) => each.at === index);
        place.replaceChildren(
            node('strong', null, scale.text(cut.value[index])),
            node('span', null, units.day($.asv.main_json.revision_to_date[revision])),
            node('span', null, mobileopt.commit($.asv.main_json.revision_to_hash[revision])),
            interval ? node('span', {class: 'mo-quiet'}, '99 % interval ' + interval) : '',
            quartiles ? node('span', {class: 'mo-quiet'}, 'quartiles ' + quartiles) : '',
            cut.n[index] ? node('span', {class: 'mo-quiet'}, cut.n[index] + ' samples') : '',
            ...changes.map((each) => node('span', {class: 'mo-size mo-' + each.direction},
                'changed by ' + units.change(each.size))),
            ...doubts.map((each) => node('span', {class: 'mo-doubt'},
                each.verdict + (each.revision === revision ? '' : ' on ' + units.day($.asv.main_json.revision_to_date[each.revision]))
                    + ': ' + (each.reasons.join('; ') || 'no reason given')
                    + (each.value === null ? '' : ', measured ' + scale.text(each.value)))));
    }

    function legend(cut) {
        const entry = (name, text) => node('li', null, node('span', {class: 'mo-key-mark ' + name, 'aria-hidden': 'true'}), text);
        const has = (name) => cut[name].some((each) => each !== null);
        const doubtful = (verdict) => cut.doubts.some((each) => each.verdict === verdict);
        return node('ul', {class: 'mo-legend', 'aria-label': 'What is drawn'},
            has('q25') ? entry('mo-quartiles', 'quartiles of the samples') : null,
            has('low') ? entry('mo-interval', '99 % interval of the median') : null,
            cut.changes.length ? entry('mo-worse', 'got worse') : null,
            cut.changes.length ? entry('mo-better', 'got better') : null,
            doubtful('suspect') ? entry('mo-suspect', 'suspect') : null,
            doubtful('invalid') ? entry('mo-invalid', 'invalid, left out') : null);
    }

    function graph(root, series, name, unit) {
        const settings = {length: 0, fromZero: false};
        const place = node('div', {class: 'mo-graph'});
        const told = node('p', {class: 'mo-readout', 'aria-live': 'polite'});
        const slider = node('input', {type: 'range', min: 0, 'aria-label': 'Result'});
        const below = node('div');
        let drawn = null;
        let cut = null;

        function choose(index) {
            slider.value = index;
            slider.setAttribute('aria-valuetext', units.day($.asv.main_json.revision_to_date[cut.revision[index]]));
            drawn.select(index);
            readout(told, cut, index, unit);
        }
        function redraw() {
            cut = last(series, settings.length);
            /* Before it is in the page its place has no width. */
            const width = Math.max(280, place.clientWidth || root.clientWidth);
            drawn = mobileopt.plot.large(cut, {
                width: width, height: width < 600 ? 260 : 380, unit: unit, dates: dates(cut),
                fromZero: settings.fromZero, choose: choose,
                label: 'History of ' + name + ', ' + cut.value.length + ' results and '
                    + cut.changes.filter((each) => each.at !== null).length + ' changes; the slider below reads them out',
            });
            place.replaceChildren(drawn.element);
            below.replaceChildren(legend(cut));
            slider.max = cut.value.length - 1;
            choose(cut.value.length - 1);
        }
        slider.addEventListener('input', () => choose(Number(slider.value)));
        const lengths = LENGTHS.filter((each) => each < series.revision.length);
        const options = node('div', {class: 'mo-controls mo-options'},
            select('Results', lengths.map((each) => each ? 'last ' + each : 'all ' + series.revision.length), 0,
                   function (at) { settings.length = lengths[at]; redraw(); }),
            node('label', {class: 'mo-check'},
                 node('input', {type: 'checkbox', onchange: function (event) { settings.fromZero = event.target.checked; redraw(); }}),
                 'from zero'));
        let width = 0;
        new ResizeObserver(function () {
            if (place.clientWidth && place.clientWidth !== width) {
                width = place.clientWidth;
                redraw();
            }
        }).observe(place);
        redraw();
        return [options, place, slider, told, below];
    }

    function changes(series, name) {
        if (!series.changes.length) {
            return node('p', {class: 'mo-empty'}, 'No changes found in ' + series.revision.length
                + (series.revision.length === 1 ? ' result.' : ' results.'));
        }
        return mobileopt.changes.table(series.changes.map((each) => ({
            ...each, around: around(series, each), unit: series.unit,
        })), 'changes of ' + name);
    }

    function around(series, change) {
        const at = series.revision.indexOf(change.revision);
        const start = Math.max(0, at - 20);
        return {values: series.value.slice(start, at + 20), at: at - start};
    }

    /* ---- The page ---- */

    function draw(root, data, params) {
        const found = find(data, params);
        if (!found) {
            root.replaceChildren(node('h1', null, 'Series'), node('p', {class: 'mo-empty'}, 'No result is stored yet.'));
            return;
        }
        const graphOf = found.graph;
        const chosen = choice(graphOf, found.index);
        const name = Object.values(chosen).map($.asv.convert_benchmark_param_value).join(' / ') || graphOf.benchmark;
        const unit = $.asv.main_json.benchmarks[graphOf.benchmark].unit;
        const body = node('div', {class: 'mo-body'});
        mobileopt.redraw(root,
            node('header', null, node('div', null, node('h1', {class: 'mo-long'}, name),
                node('p', {class: 'mo-note'}, graphOf.benchmark + ' \u00b7 ' + graphOf.params.machine + ' \u00b7 ',
                     node('a', {href: mobileopt.history(graphOf.benchmark, graphOf.params, chosen)}, 'compare with others')))),
            mobileopt.gone(missing(found, params), 'another series is shown') || '', controls(data, found), body);
        if (!graphOf.measured.includes(found.index)) {
            body.replaceChildren(node('p', {class: 'mo-empty'}, 'This was not measured on ' + graphOf.params.machine + '.'));
            return;
        }
        mobileopt.load(graphOf.folder + '/' + found.index).then(function (series) {
            body.replaceChildren(...graph(body, series, name, unit),
                node('section', {'aria-label': 'Changes'}, node('h2', null, 'Changes'), changes({...series, unit: unit}, name)));
        }).catch(mobileopt.failed(body));
    }

    mobileopt.page('series', draw);
})(jQuery);
