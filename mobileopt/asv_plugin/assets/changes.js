'use strict';
/* The page of changes: every level that moved, in both directions, with what is known of it. */
(function ($) {
    const node = mobileopt.node;
    const units = mobileopt.units;
    const FILTERS = [
        {name: 'machine', label: 'Machine', of: (each) => each.machine},
        {name: 'model', label: 'Model', of: (each) => each.model},
        {name: 'recipe', label: 'Recipe', of: (each) => each.recipe},
        {name: 'metric', label: 'Metric', of: (each) => each.metric},
        {name: 'direction', label: 'Direction', of: (each) => each.direction},
        {name: 'state', label: 'State', of: (each) => each.state},
    ];
    const STATES = {
        open: 'still there',
        accepted: 'accepted',
        fixed: 'taken back later',
        kept: 'still there',
        lost: 'lost again later',
        past: 'the series has ended',
    };
    const CAUSES = {
        commit: 'the commit',
        machine: 'the machine',
        unclear: 'unclear',
    };

    function small(...children) {
        return children.some(Boolean) ? node('small', null, ...children.filter(Boolean)) : null;
    }

    function interval(each) {
        if (each.low === null || each.high === null) {
            return null;
        }
        const [low, high] = [units.change(each.low), units.change(each.high)];
        return low === high ? null : low + ' to ' + high;
    }

    function levels(each) {
        const scale = units.scale(each.unit, Math.max(each.before, each.after));
        return scale.figure(each.before) + ' \u2192 ' + scale.text(each.after);
    }

    function address(each) {
        return mobileopt.series(each.metric, each.params, each.choice);
    }

    const SIZE = {
        title: 'Change', number: true, descending: true,
        key: (each) => each.size === null ? Infinity : Math.abs(Math.log1p(Math.max(each.size, -0.999999))),
        draw: (each) => [
            node('strong', {class: 'mo-size mo-' + each.direction}, units.change(each.size)),
            node('span', {class: 'mo-hidden'}, ' ' + each.direction), small(interval(each))],
    };
    const WHAT = {
        title: 'Series',
        key: (each) => each.subject + each.metric + each.machine,
        draw: (each) => [node('a', {class: 'mo-subject', href: address(each)}, each.subject), small(each.metric + ' \u00b7 ' + each.machine)],
    };
    const LITTLE = {
        title: 'Around it', key: null,
        draw: (each) => [mobileopt.plot.little(each.around, each.direction), small(levels(each))],
    };
    const DATE = {
        title: 'Commit', descending: true,
        key: (each) => each.revision,
        draw: (each) => [...commits(each), small(units.day(each.date), each.title ? ' \u00b7 ' + each.title : null)],
    };
    const CAUSE = {
        title: 'Suspected',
        key: (each) => each.cause,
        draw: (each) => [CAUSES[each.cause]],
    };
    const STATE = {
        title: 'State',
        key: (each) => each.state,
        draw: (each) => [each.state, state(each)],
    };
    const SURE = {
        title: 'Confidence', number: true, descending: true,
        key: (each) => each.confidence,
        draw: (each) => [(100 * Math.min(each.confidence, 0.999)).toFixed(each.confidence < 0.995 ? 0 : 1) + ' %'],
    };

    function state(each) {
        if (each.endedBy) {
            return small('at ', mobileopt.commit(each.endedBy));
        }
        return small(each.reason || STATES[each.state]);
    }

    /* One commit, or the first and the last of those it may be. */
    function commits(each) {
        const all = each.commits;
        if (all.length < 2) {
            return all.map(mobileopt.commit);
        }
        return [mobileopt.commit(all[0]), '\u2026', mobileopt.commit(all[all.length - 1]),
                node('span', {class: 'mo-quiet'}, ' one of ' + all.length)];
    }

    function table(rows, name, columns) {
        return mobileopt.table(columns || [SIZE, WHAT, LITTLE, DATE, CAUSE, STATE, SURE], rows, {
            name: name,
            first: DATE,
        });
    }

    /* ---- Filters ---- */

    function chosen(params) {
        const choice = {};
        for (const filter of FILTERS) {
            if (params[filter.name]) {
                choice[filter.name] = params[filter.name][0];
            }
        }
        return choice;
    }

    function matches(each, choice) {
        return FILTERS.every((filter) => choice[filter.name] === undefined || String(filter.of(each)) === choice[filter.name]);
    }

    function go(choice) {
        const params = {};
        for (const [name, value] of Object.entries(choice)) {
            params[name] = [value];
        }
        window.location.hash = $.asv.format_hash_string({location: ['/changes'], params: params});
    }

    function chooser(filter, data, choice) {
        const found = data.changes.map(filter.of).filter((each) => each !== null);
        const values = [...new Set([...found, ...(choice[filter.name] === undefined ? [] : [choice[filter.name]])])].sort();
        if (values.length < 2 && choice[filter.name] === undefined) {
            return null;
        }
        const select = node('select', {
            onchange: function (event) {
                const next = {...choice};
                delete next[filter.name];
                if (event.target.selectedIndex > 0) {
                    next[filter.name] = values[event.target.selectedIndex - 1];
                }
                go(next);
            },
        }, node('option', null, 'All'), ...values.map((value) => node('option', null, value)));
        select.selectedIndex = choice[filter.name] === undefined ? 0 : values.indexOf(choice[filter.name]) + 1;
        return node('label', null, node('span', null, filter.label), select);
    }

    /* ---- The page ---- */

    function count(number, one, many) {
        return number.toLocaleString('en') + ' ' + (number === 1 ? one : many);
    }

    function looked(data) {
        return count(data.series, 'series', 'series') + ' of ' + count(data.machines, 'machine', 'machines');
    }

    function summary(rows, data) {
        const worse = rows.filter((each) => each.direction === 'worse').length;
        const open = rows.filter((each) => each.state === 'open').length;
        const parts = [count(worse, 'got worse', 'got worse') + (open ? ' (' + open + ' open)' : ''),
                       count(rows.length - worse, 'got better', 'got better')];
        return node('p', {class: 'mo-note', role: 'status'}, parts.join(' \u00b7 ') + ' \u00b7 in ' + looked(data));
    }

    function nothing(data, choice) {
        if (data.changes.length) {
            return node('div', {class: 'mo-empty'},
                        node('p', null, 'None of the ' + count(data.changes.length, 'change', 'changes') + ' matches.'),
                        node('button', {type: 'button', class: 'mo-more', onclick: () => go({})}, 'Show all'));
        }
        return node('div', {class: 'mo-empty'},
                    node('p', null, 'No changes found in ' + looked(data) + '.'),
                    node('p', {class: 'mo-note'}, 'A change shows once three results lie on either side of it.'));
    }

    function draw(root, data, params) {
        const choice = chosen(params);
        const rows = data.changes.filter((each) => matches(each, choice));
        const filters = FILTERS.map((filter) => chooser(filter, data, choice)).filter(Boolean);
        mobileopt.redraw(root,
            node('header', null, node('div', null, node('h1', null, 'Changes'), summary(rows, data))),
            filters.length ? node('div', {class: 'mo-controls mo-filters'}, ...filters) : '',
            rows.length ? table(rows, 'changes') : nothing(data, choice));
    }

    mobileopt.changes = {table: (rows, name) => table(rows, name, [SIZE, LITTLE, DATE, CAUSE, STATE, SURE]), interval: interval};
    mobileopt.page('changes', draw);
})(jQuery);
