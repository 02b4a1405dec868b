'use strict';
/* A table whose columns sort. A column is {title, key(row), draw(row)}, with `number` for figures
   and `descending` where the large ones are looked for first; draw gives a list of nodes and
   texts. Rows without a key stay last either way. */
window.mobileopt.table = (function () {
    const node = mobileopt.node;
    const PAGE = 100;

    function sorted(rows, column, descending) {
        const way = descending ? -1 : 1;
        return [...rows].sort(function (a, b) {
            const [x, y] = [column.key(a), column.key(b)];
            if (x === null || y === null) {
                return (x === null) - (y === null);
            }
            return way * (typeof x === 'string' ? x.localeCompare(y) : x - y);
        });
    }

    /* options: name (for a screen reader), first (the column to begin with), kind(row): a class. */
    function table(columns, rows, options) {
        const body = node('tbody');
        const more = node('button', {type: 'button', class: 'mo-more', onclick: () => grow()});
        let ordered = rows;
        const heads = columns.map(function (column) {
            const button = node('button', {type: 'button', onclick: () => order(column)}, column.title);
            return node('th', {scope: 'col', class: column.number ? 'mo-number' : null},
                        column.key ? button : node('span', {class: 'mo-unsorted'}, column.title));
        });

        function order(column) {
            const head = heads[columns.indexOf(column)];
            const before = head.getAttribute('aria-sort');
            const descending = before ? before === 'ascending' : Boolean(column.descending);
            heads.forEach((each) => each.removeAttribute('aria-sort'));
            head.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
            ordered = sorted(rows, column, descending);
            body.replaceChildren();
            grow();
        }

        function grow() {
            const shown = body.children.length;
            body.append(...ordered.slice(shown, shown + PAGE).map(drawn));
            const left = ordered.length - body.children.length;
            more.hidden = left <= 0;
            more.textContent = 'Show ' + Math.min(left, PAGE) + ' more of ' + left;
        }

        function drawn(row) {
            return node('tr', {class: options.kind ? options.kind(row) : null}, ...columns.map((column) =>
                node('td', {class: column.number ? 'mo-number' : null}, ...column.draw(row))));
        }

        order(options.first);
        const whole = node('table', null,
                           node('caption', {class: 'mo-hidden'}, options.name),
                           node('thead', null, node('tr', null, ...heads)), body);
        const scroll = node('div', {class: 'mo-scroll', tabindex: '0', role: 'region',
                                    'aria-label': 'Table of ' + options.name}, whole);
        return node('div', null, scroll, more);
    }

    return table;
})();
