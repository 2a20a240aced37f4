/** The opensearch output against OpenSearch; runs pipelines/opensearch.yaml. */
import { startOpensearch } from './servers/opensearch.ts';
import { describeSearch } from './support/search-suite.ts';

describeSearch({ name: 'opensearch', start: startOpensearch, pipelines: true });
