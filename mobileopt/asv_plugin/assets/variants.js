'use strict';
/* The page of variants: for each model bars of the speed against the untouched model, and a
   table of everything measured. */
(function ($) {
    const node = mobileopt.node;
    const units = mobileopt.units;
    const NOT_MEASURED = 'n/a';

    function ratio(row, data) {
        if (!row.ratio) {
            return NOT_MEASURED;
        }
        if (row.recipe === data.baseline) {
            return 'baseline';
        }
        return unclear(row) ? row.ratio.value.toFixed(2) + 'x, unclear' : units.speed(row.ratio.value);
    }

    function range(row) {
        if (!row.ratio || row.ratio.low === undefined) {
            return null;
        }
        return row.ratio.low.toFixed(2) + '\u2013' + row.ratio.high.toFixed(2);
    }

    /* An interval on both sides of 1 does not say which of the two is faster. */
    function unclear(row) {
        return row.ratio && row.ratio.low !== undefined && row.ratio.low <= 1 && row.ratio.high >= 1;
    }

    /* ---- A recipe and its kind ---- */

    function kind(row, data) {
        if (row.recipe === data.baseline) {
            return 'baseline';
        }
        const precision = row.words && row.words[data.slots.indexOf('precision')];
        return !precision ? 'other' : precision.startsWith('int8') ? 'int8'
            : precision.startsWith('float') ? 'float' : 'other';
    }

    /* The words of a recipe; those it shares with the baseline step back. */
    function recipe(row, data) {
        const name = node('span', {class: 'mo-recipe'});
        if (!row.words) {
            name.append(row.recipe);
            return name;
        }
        const same = data.baseline.split('-');
        row.words.forEach(function (word, slot) {
            const quiet = word === same[slot] && row.recipe !== data.baseline;
            /* A long name breaks between its words and nowhere else. */
            name.append(slot ? '-' : '', slot ? node('wbr') : '',
                        node('span', {class: quiet ? 'mo-quiet' : null}, word));
        });
        return name;
    }

    function history(metric, model, row, environment, data) {
        return mobileopt.series(data.benchmarks[metric], environment.params,
                                 {model: model.parameter, recipe: row.parameter});
    }

    /* ---- Bars ---- */

    function bySpeed(rows) {
        return [...rows].sort((a, b) => (b.ratio ? b.ratio.value : 0) - (a.ratio ? a.ratio.value : 0));
    }

    /* The end of the axis. An interval from a handful of samples may be so long that the bars
       would shrink to nothing beside it; it is cut off instead, and the table has its ends. */
    function axis(rows) {
        const ratios = rows.filter((row) => row.ratio).map((row) => row.ratio);
        const bar = Math.max(1, ...ratios.map((each) => each.value));
        return Math.min(1.3 * bar, Math.max(bar, ...ratios.map((each) => each.high || 0)));
    }

    function percent(value, scale) {
        return (100 * Math.min(value, scale) / scale).toFixed(3) + '%';
    }

    function mark(name, left, width) {
        const drawn = node('span', {class: name});
        drawn.style.left = left;
        drawn.style.width = width;
        return drawn;
    }

    function bar(row, scale) {
        const track = node('span', {class: 'mo-track'}, mark('mo-one', percent(1, scale), '0'));
        if (row.ratio) {
            track.append(mark('mo-bar', '0', percent(row.ratio.value, scale)));
        }
        if (row.ratio && row.ratio.low !== undefined) {
            const width = Math.min(row.ratio.high, scale) - row.ratio.low;
            track.append(mark('mo-whisker', percent(row.ratio.low, scale), percent(width, scale)));
        }
        return track;
    }

    function barLine(model, row, scale, environment, data) {
        const label = node('span', {class: 'mo-figure'}, ratio(row, data));
        label.style.left = row.ratio ? percent(row.ratio.high || row.ratio.value, scale) : '0';
        const track = bar(row, scale);
        track.append(label);
        const inner = [recipe(row, data), track];
        const attributes = {class: 'mo-line mo-' + kind(row, data) + (unclear(row) ? ' mo-unclear' : '')};
        if (!row.cells.latency) {
            return node('li', null, node('span', attributes, ...inner));
        }
        const span = range(row);
        return node('li', null, node('a', {
            ...attributes,
            href: history('latency', model, row, environment, data),
            title: span ? span + ' times as fast as the baseline' : null,
        }, ...inner));
    }

    function bars(model, environment, data) {
        const rows = bySpeed(model.rows);
        const scale = axis(rows);
        return node('ol', {class: 'mo-bars', 'aria-label': 'Speed against the baseline, fastest first'},
                    ...rows.map((row) => barLine(model, row, scale, environment, data)));
    }

    /* ---- The table ---- */

    function word(slot) {
        return {
            title: slot[0].toUpperCase() + slot.slice(1),
            key: (row, data) => row.words ? row.words[data.slots.indexOf(slot)] : null,
            draw: (row, data) => row.words ? drawnWord(row, data, slot) : [NOT_MEASURED],
        };
    }

    function drawnWord(row, data, slot) {
        const index = data.slots.indexOf(slot);
        const quiet = row.words[index] === data.baseline.split('-')[index];
        const text = node('span', {class: quiet ? 'mo-quiet' : null}, row.words[index]);
        return slot === 'precision' ? [node('span', {class: 'mo-dot', 'aria-hidden': 'true'}), text] : [text];
    }

    function measured(metric, title, show, key) {
        return {
            title: title,
            metric: metric,
            number: true,
            key: (row) => row.cells[metric] ? (key || ((value) => value))(row.cells[metric].value) : null,
            show: show,
        };
    }

    const TIMES_BASELINE = {
        title: 'Against baseline',
        number: true,
        descending: true,
        key: (row) => row.ratio ? row.ratio.value : null,
        draw: (row, data) => [ratio(row, data), small(range(row) && row.recipe !== data.baseline ? range(row) : null)],
    };

    const COMMIT = {
        title: 'Commit',
        key: (row) => newest(row).revision,
        draw: (row) => [mobileopt.commit(newest(row).commit)],
    };

    function columns(data) {
        return [
            ...data.slots.map(word),
            measured('latency', 'Latency', units.milliseconds),
            TIMES_BASELINE,
            measured('size', 'Size', units.bytes),
            {...measured('noise', 'SQNR', units.decibels, (value) => -Math.log10(value)), descending: true},
            {...measured('disagreement', 'Top-1 agreement', units.agreement, (value) => 1 - value), descending: true},
            measured('memory', 'Peak memory', units.bytes),
            COMMIT,
        ];
    }

    function small(text) {
        return text ? node('small', null, text) : null;
    }

    /* The latency stands for the row; where it is missing, the newest of the rest does. */
    function newest(row) {
        const cells = Object.values(row.cells);
        return row.cells.latency || cells.reduce((a, b) => b.revision > a.revision ? b : a);
    }

    function cell(column, model, row, environment, data) {
        if (column.draw) {
            return column.draw(row, data);
        }
        const found = row.cells[column.metric];
        if (!found) {
            return [node('span', {class: 'mo-quiet'}, NOT_MEASURED)];
        }
        const [text, detail] = column.show(found);
        const link = node('a', {
            href: history(column.metric, model, row, environment, data),
            'aria-label': column.title + ' of ' + row.recipe + ', ' + text + ', history',
        }, text);
        const older = found.commit !== newest(row).commit
            ? node('small', null, 'at ', mobileopt.commit(found.commit)) : null;
        return [link, small(detail), older];
    }

    function table(model, environment, data) {
        const all = columns(data).map((column) => ({
            ...column,
            key: (row) => column.key(row, data),
            draw: (row) => cell(column, model, row, environment, data),
        }));
        return mobileopt.table(all, model.rows, {
            name: model.model,
            first: all.find((column) => column.title === TIMES_BASELINE.title),
            kind: (row) => 'mo-' + kind(row, data),
        });
    }

    /* ---- The page ---- */

    /* Where the baseline does not run, as on phones, a model is compared with what is nearest. */
    function ofModel(model, data) {
        return {...data, baseline: model.baseline};
    }

    function baselineNote(model, data) {
        const row = model.rows.find((each) => each.recipe === model.baseline);
        if (!row || !row.cells.latency) {
            return node('p', {class: 'mo-note'}, 'The baseline has not been measured here.');
        }
        const name = model.baseline === data.baseline ? 'Baseline '
            : 'The baseline has not been measured here; in its place ' + model.baseline + ', ';
        return node('p', {class: 'mo-note'}, name + units.milliseconds(row.cells.latency)[0] + ' at ',
                    mobileopt.commit(row.cells.latency.commit));
    }

    function section(model, environment, data) {
        const own = ofModel(model, data);
        const heading = node('div', {class: 'mo-heading'},
                             node('h2', null, model.model), baselineNote(model, data));
        return node('section', {'aria-label': model.model}, heading,
                    bars(model, environment, own), table(model, environment, own));
    }

    function against(models) {
        const names = [...new Set(models.map((model) => model.baseline))];
        return names.length === 1 ? node('code', null, names[0]) : 'the baseline';
    }

    function legend(models, data) {
        const names = {float: 'float', int8: 'int8', other: 'other', baseline: 'baseline'};
        const present = new Set(models.flatMap((model) =>
            model.rows.map((row) => kind(row, ofModel(model, data)))));
        const items = Object.keys(names).filter((each) => present.has(each));
        return node('ul', {class: 'mo-legend', 'aria-label': 'Colours'}, ...items.map((each) =>
            node('li', {class: 'mo-' + each},
                 node('span', {class: 'mo-dot', 'aria-hidden': 'true'}), names[each])));
    }

    function chooser(label, options, chosen, change) {
        if (options.length < 2) {
            return null;
        }
        const select = node('select', {onchange: (event) => change(Number(event.target.value))},
                            ...options.map((text, index) => node('option', {value: index}, text)));
        select.value = chosen;
        return node('label', null, node('span', null, label), select);
    }

    function matches(environment, params) {
        return Object.keys(environment.params).every((name) =>
            !params[name] || mobileopt.same(params[name][0], environment.params[name]));
    }

    function go(environment, model) {
        const params = {};
        for (const [name, values] of Object.entries($.asv.main_json.params)) {
            if (values.length > 1) {
                params[name] = [environment.params[name]];
            }
        }
        if (model) {
            params.model = [model];
        }
        window.location.hash = $.asv.format_hash_string({location: ['/variants'], params: params});
    }

    function controls(environment, chosen, data) {
        const environments = data.environments;
        const names = environment.models.map((model) => model.model);
        const machine = chooser('Machine', environments.map((each) => each.label),
                                environments.indexOf(environment),
                                (index) => go(environments[index], chosen));
        const model = chooser('Model', ['All models', ...names], names.indexOf(chosen) + 1,
                              (index) => go(environment, index ? names[index - 1] : null));
        return machine || model ? node('div', {class: 'mo-controls'}, machine, model) : null;
    }

    function facts(environment) {
        const params = environment.params;
        const software = ['python', 'torch'].filter((name) => params[name])
            .map((name) => name + ' ' + params[name]);
        const known = [environment.label, params.cpu, params.os, ...software].filter(Boolean);
        return node('p', {class: 'mo-note'}, known.join(' \u00b7 '));
    }

    function draw(root, data, params) {
        if (!data.environments.length) {
            root.replaceChildren(node('h1', null, 'Variants'), node('p', null,
                'No result of ' + data.benchmarks.latency + ' is stored yet.'));
            return;
        }
        const environment = data.environments.find((each) => matches(each, params)) || data.environments[0];
        const asked = params.model && params.model[0];
        const found = environment.models.filter((model) => model.model === asked);
        const models = found.length ? found : environment.models;
        const missing = mobileopt.missing(environment.params, params);
        mobileopt.redraw(root,
            node('header', null,
                 node('div', null, node('h1', null, 'Variants'), facts(environment)),
                 controls(environment, found.length ? asked : null, data) || ''),
            mobileopt.gone(missing, 'another machine is shown') || '',
            mobileopt.gone(asked && !found.length ? ['model ' + asked] : [], 'all models are shown') || '',
            node('div', {class: 'mo-key'},
                 node('p', null, 'Speed against ', against(models),
                      ' of the same model; longer is faster. Whiskers: 98 % interval from the ' +
                     'samples. Select a figure for its history.'),
                 legend(models, data)),
            ...models.map((model) => section(model, environment, data)));
    }

    mobileopt.page('variants', draw);
})(jQuery);
