'use strict';
/* What every page of ours shares. A page is mobileopt.page(name, draw): its data is
   <name>.json, its place #<name>-display, and draw(place, data, params) is called each time it is
   shown, with the parameters of the address. */
window.mobileopt = (function ($) {
    const loaded = {};

    /* A DOM node. Text is only ever set as text: names come from result files. */
    function node(tag, attributes, ...children) {
        const element = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes || {})) {
            if (name.startsWith('on')) {
                element.addEventListener(name.slice(2), value);
            } else if (value !== null && value !== undefined && value !== false) {
                element.setAttribute(name, value === true ? '' : value);
            }
        }
        element.append(...children.filter((child) => child !== null && child !== undefined));
        return element;
    }

    /* The addresses of one environment and one choice of parameters: of asv's graph of them, and
       of our page. */
    function history(benchmark, environment, choice) {
        return $.asv.format_hash_string({location: [benchmark], params: parameters(environment, choice)});
    }

    function series(benchmark, environment, choice) {
        const params = {benchmark: [benchmark], ...parameters(environment, choice)};
        return $.asv.format_hash_string({location: ['/series'], params: params});
    }

    function parameters(environment, choice) {
        const params = {};
        for (const [name, values] of Object.entries($.asv.main_json.params)) {
            if (values.length > 1 && name in environment) {
                params[name] = [environment[name]];
            }
        }
        for (const [name, value] of Object.entries(choice)) {
            params['p-' + name] = [value];
        }
        return params;
    }

    /* A commit, as a link where the project has an address for one. */
    function commit(hash) {
        const short = hash.slice(0, $.asv.main_json.hash_length);
        const base = $.asv.main_json.show_commit_url;
        const attributes = {class: 'mo-commit', title: hash};
        if (/^https?:\/\//.test(base)) {
            return node('a', {...attributes, href: base + hash}, short);
        }
        return node('code', attributes, short);
    }

    function load(name) {
        if (!loaded[name]) {
            const address = name + '.json?timestamp=' + $.asv.main_timestamp;
            loaded[name] = fetch(address).then(function (response) {
                if (!response.ok) {
                    throw new Error(address + ' answered ' + response.status);
                }
                return response.json();
            });
            loaded[name].catch(function () { delete loaded[name]; });
        }
        return loaded[name];
    }

    function failed(root) {
        return function (error) {
            root.replaceChildren(node('p', {role: 'alert'}, 'This page could not be drawn: ' + error.message));
        };
    }

    /* New content, with the keyboard where it was: in the same select of the page. */
    function redraw(root, ...children) {
        const active = document.activeElement;
        const at = root.contains(active) && active.tagName === 'SELECT'
            ? [...root.querySelectorAll('select')].indexOf(active) : -1;
        root.replaceChildren(...children);
        if (at >= 0) {
            root.querySelectorAll('select')[at]?.focus();
        }
    }

    function same(asked, value) {
        return asked === value || String(asked) === String(value === null ? '' : value);
    }

    /* What the address asks for and is not what is shown, in words. */
    function missing(shown, params) {
        return Object.keys(shown).filter((name) => params[name] && !same(params[name][0], shown[name])).map((name) =>
            name.replace(/^(p|env)-/, '') + ' '
                + (name.startsWith('p-') ? $.asv.convert_benchmark_param_value(params[name][0]) : params[name][0]));
    }

    /* An old address may name what is no longer there: nobody should take another thing for it. */
    function gone(names, instead) {
        return names.length ? node('p', {class: 'mo-gone', role: 'status'},
            'Not here, or not any more: ' + names.join(', ') + '; ' + instead + '.') : null;
    }

    function page(name, draw) {
        let shown = 0;
        function place() {
            return document.getElementById(name + '-display');
        }
        function show(params) {
            const turn = ++shown;
            const root = place();
            root.hidden = false;
            /* The page has its own heading; asv's would repeat the entry beside it. */
            $('#title').text('');
            /* On a phone the navigation is one line that scrolls. */
            document.getElementById('nav-li-' + name)?.scrollIntoView({block: 'nearest', inline: 'nearest'});
            load('mobileopt/' + name).then(function (data) {
                /* Of two changes of the address in quick succession the last one is drawn. */
                if (turn === shown) {
                    draw(root, data, params);
                }
            }).catch(failed(root));
        }
        $(document).ready(function () {
            $.asv.register_page(name, show);
            /* asv hides only the displays it knows. */
            $(window).on('hashchange', function () {
                if ($.asv.parse_hash_string(window.location.hash).location[0] !== name) {
                    place().hidden = true;
                }
            });
        });
    }

    return {node: node, history: history, series: series, commit: commit, load: load, failed: failed,
            redraw: redraw, same: same, missing: missing, gone: gone, page: page};
})(jQuery);
